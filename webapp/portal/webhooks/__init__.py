"""Webhooks of a study: the list, the form, and the log of each (CLAR-75)."""
