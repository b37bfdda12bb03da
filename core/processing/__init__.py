"""Processes queued uploads into hourly chunks: claims, store access, registry rows and counts."""
