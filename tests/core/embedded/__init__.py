"""The embedded PostgreSQL, tried with real processes."""
