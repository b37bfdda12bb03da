"""Rebuilds chunks from raw files, compares them with those in the store, and corrects these."""
