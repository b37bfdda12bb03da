"""Rules of notifications without models: when, what together, and what an outcome means."""
