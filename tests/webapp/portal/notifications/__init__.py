"""The notifications section of the portal."""
