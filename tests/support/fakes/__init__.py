"""Stand-ins for external services: they speak the real protocol over a local socket."""
