"""The blueprint of the section."""

from webapp.portal.frame.section import Section

alerts = Section("alerts", __name__)
