"""Notifications: a study's coming day, delivery, quiet hours and messages; the site's push credentials."""
