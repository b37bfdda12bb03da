"""The blueprint of the section."""

from webapp.portal.frame.section import Section

settings_section = Section("settings", __name__)
