"""Surveys, in a real browser."""
