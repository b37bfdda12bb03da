"""A researcher's own account, in a real browser."""
