"""Accounts of researchers."""
