"""What concerns the whole site, for site administrators."""
