"""Rules of alerts without models: which answers match."""
