"""Gunicorn: a few processes with threads; threads wait for phones and the store, processes use the cores."""

import resource
import sys
from typing import Any

from gunicorn.glogging import Logger

from core.config import ConfigurationError, get_settings
from core.logs import JsonLines
from ops.shared_counts import add_up_ended, count_alone, reserve_files, share_counts, start_anew

try:
    _settings = get_settings()
except ConfigurationError as error:
    sys.exit(f"Error: {error}")

bind = f"127.0.0.1:{_settings.port}"
worker_class = "webapp.serving.worker.WholeRequestWorker"
workers = _settings.web_workers
threads = _settings.web_threads
# Android waits 15 s for an answer (PHONE-13); a worker that hangs much longer is of no use.
timeout = 60
graceful_timeout = 15  # an upload under way may wait 12 s for the store (STORE-8)
keepalive = 75  # longer than apps keep a connection idle
max_requests = 50_000  # once no download is under way
max_requests_jitter = 5_000
# Silent connections cost a socket and no thread; clinics share an address, so none is limited by address (CLAR-11).
worker_connections = 2_000
backlog = 2_048
# Only the application reads proxies' headers, by TRUSTED_PROXY_HOPS (CLAR-4); no header sets SCRIPT_NAME.
forwarded_allow_ips = ""
forwarder_headers = ""
accesslog = None
control_socket_disable = True
umask = 0o077


class JsonLog(Logger):
    """Writes Gunicorn's own log lines as JSON, like the application's (OPS-33)."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(JsonLines())


if _settings.is_production:
    logger_class = JsonLog

_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (max(_soft, min(_hard, 3 * worker_connections)), _hard))

_counts = _settings.web_counts_dir
share_counts(_counts)


def on_starting(server: Any) -> None:
    """Resets the counts of an earlier server."""
    try:
        start_anew(_counts)
    except OSError as error:
        server.log.warning("no space for counts: %s", error)


def post_fork(server: Any, worker: Any) -> None:
    """Prepares the counts of a new worker before it loads the application."""
    try:
        reserve_files(_counts, worker.pid)
    except OSError as error:
        server.log.warning("process %s counts alone: %s", worker.pid, error)
        count_alone()


def post_worker_init(worker: Any) -> None:
    """Watches over the sending of notifications, and delivers alerts, in each process (CLAR-62)."""
    from core.config import get_settings
    from core.database import get_engine
    from webapp.watching import start_threads

    start_threads(get_engine(), get_settings())


def child_exit(server: Any, worker: Any) -> None:
    """Adds the counts of an ended worker to the totals."""
    try:
        add_up_ended(_counts, worker.pid)
    except (OSError, ValueError, RuntimeError) as error:
        server.log.warning("counts of process %s are not added up: %s", worker.pid, error)
