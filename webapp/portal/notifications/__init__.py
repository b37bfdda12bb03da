"""Notifications: the site's push credentials."""
