"""Cryptography: the phones' file format, the seal at rest, passwords, keys."""
