"""`/metrics` for Prometheus: counts of the web processes, and figures of all work from the database (OPS-32)."""

from webapp.metrics.views import init_metrics

__all__ = ["init_metrics"]
