"""The section of surveys."""
