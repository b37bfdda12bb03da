"""Chunks made anew from raw files, compared with those in the store, and put right."""
