"""A researcher's own account."""
