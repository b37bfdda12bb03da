"""Numbers at the end of a run: latencies by endpoint, counts by status."""

from typing import Any

from ops.phones.transport import Meter


def percentiles(latencies_ms: list[float]) -> dict[str, float]:
    """Count, p50, p95, p99 and maximum of latencies in ms (nearest rank); only the count if there are none."""
    if not latencies_ms:
        return {"count": 0}
    ordered = sorted(latencies_ms)

    def rank(share: float) -> float:
        return round(ordered[max(0, -(-len(ordered) * round(share * 100) // 100) - 1)], 2)

    return {
        "count": len(ordered),
        "p50": rank(0.50),
        "p95": rank(0.95),
        "p99": rank(0.99),
        "max": round(ordered[-1], 2),
    }


def endpoint_report(meter: Meter) -> dict[str, Any]:
    """For each endpoint that was called: answers by status (`none`: no answer) and latencies in milliseconds."""
    return {
        endpoint: {
            "statuses": dict(sorted(statuses.items())),
            "latency_ms": percentiles(meter.latencies_ms[endpoint]),
        }
        for endpoint, statuses in sorted(meter.statuses.items())
    }
