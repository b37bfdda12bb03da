"""Uploads that wait to hourly chunks: claims, the store, the registry, and what is counted on the way."""
