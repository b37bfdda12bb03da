"""The section of a researcher's own account."""

from webapp.portal.frame.section import Section

account = Section("account", __name__)
