"""Webhooks of studies: other programs are told of data, answers and silent participants (CLAR-75)."""
