"""The blueprint of the section."""

from webapp.portal.frame.section import Section

quantities = Section("quantities", __name__)
