"""Pushes: what they say, with what they are sent, and what becomes of them."""
