"""The blueprint of the section."""

from webapp.portal.frame.section import Section

surveys = Section("surveys", __name__)
