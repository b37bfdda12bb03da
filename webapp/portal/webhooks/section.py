"""The blueprint of the section."""

from webapp.portal.frame.section import Section

webhooks = Section("webhooks", __name__)
