"""The blueprint of the section."""

from webapp.portal.frame.section import Section

studies = Section("studies", __name__)
