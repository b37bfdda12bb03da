"""HTTP as the apps speak it: POST, kept-alive connections, the apps' time-outs, no redirects, no retries."""

import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass

import urllib3

from ops.phones.platforms import Platform


@dataclass(frozen=True)
class Answer:
    """An answer. Without one `status` is None and `error` says why; `latency_ms` is measured in both cases."""

    endpoint: str
    status: int | None
    body: bytes
    content_type: str
    latency_ms: float
    error: str | None = None


class Meter:
    """Counts answers and keeps latencies, by endpoint; safe for threads."""

    def __init__(self) -> None:
        self.statuses: dict[str, Counter[str]] = defaultdict(Counter)
        self.latencies_ms: dict[str, list[float]] = defaultdict(list)
        self.errors: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, answer: Answer) -> None:
        """Counts one answer, or its absence."""
        with self._lock:
            self.statuses[answer.endpoint][str(answer.status or "none")] += 1
            if answer.status is not None:
                self.latencies_ms[answer.endpoint].append(answer.latency_ms)
            if answer.error:
                self.errors[answer.error] += 1


class Transport:
    """Connections to one server, shared by any number of phones and threads.

    `server` is an address with scheme and perhaps a port and a path prefix; paths are simply appended (PHONE-4).
    Unlike the apps it speaks plain HTTP too, since tests and a local server have no certificate.
    """

    def __init__(self, server: str, connections: int = 16, meter: Meter | None = None) -> None:
        self.server = server.rstrip("/")
        self.meter = meter or Meter()
        self._pool = urllib3.PoolManager(maxsize=connections, retries=False)

    def post(self, platform: Platform, endpoint: str, body: bytes, content_type: str) -> Answer:
        """Posts to an endpoint by name (`upload`, `register_user`, …). Never raises for the network: see `Answer`."""
        headers = {"Content-Type": content_type, "Accept-Encoding": "gzip"}
        timeout = urllib3.Timeout(connect=platform.timeout_seconds, read=platform.timeout_seconds)
        begin = time.perf_counter()
        try:
            response = self._pool.request(
                "POST",
                self.server + platform.path(endpoint),
                body=body,
                headers=headers,
                timeout=timeout,
                redirect=False,
            )
            answer = Answer(
                endpoint,
                response.status,
                response.data,
                response.headers.get("Content-Type", ""),
                (time.perf_counter() - begin) * 1000,
            )
        except urllib3.exceptions.HTTPError as error:
            name = type(error).__name__
            answer = Answer(endpoint, None, b"", "", (time.perf_counter() - begin) * 1000, name)
        self.meter.add(answer)
        return answer

    def close(self) -> None:
        """Closes all connections."""
        self._pool.clear()
