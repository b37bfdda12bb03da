"""Servers of others that tests cannot ask: they speak the real protocol over a local socket."""
