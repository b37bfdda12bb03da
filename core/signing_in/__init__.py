"""Signing in to the portal: sessions that the server can end, and what is done against guessing."""
