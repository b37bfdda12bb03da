"""Notifications, in a real browser."""
