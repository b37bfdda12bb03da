"""Operation of the server: downtime, readiness, totals over all processes, pruning of histories, data audits."""
