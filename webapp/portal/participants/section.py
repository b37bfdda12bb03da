"""The blueprint of the section."""

from webapp.portal.frame.section import Section

participants = Section("participants", __name__)
