"""Pages about the whole site, for site administrators."""
