"""The blueprint of the section."""

from webapp.portal.frame.section import Section

notifications = Section("notifications", __name__)
