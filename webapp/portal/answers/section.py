"""The blueprint of the section."""

from webapp.portal.frame.section import Section

answers = Section("answers", __name__)
