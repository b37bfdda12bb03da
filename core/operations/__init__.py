"""Running the server: downtime, readiness, totals over all processes, pruning of histories, audits of the data."""
