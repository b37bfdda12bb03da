"""Forest: the log of analyses, the form that queues them, and their files (PORTAL-250 to PORTAL-253)."""
