"""Exports: files of a study that are built in the background and kept for some days (CLAR-74)."""
