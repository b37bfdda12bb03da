"""Choosing a study."""
