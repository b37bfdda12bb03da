"""`/metrics` for Prometheus: what the web's processes count, and what the database knows of all others (OPS-32)."""

from webapp.metrics.views import init_metrics

__all__ = ["init_metrics"]
