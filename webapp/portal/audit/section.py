"""The blueprint of the section."""

from webapp.portal.frame.section import Section

audit = Section("audit", __name__)
