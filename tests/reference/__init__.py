"""Implementations that are slow and obviously right: what the fast ones are compared with, in results and in speed."""
