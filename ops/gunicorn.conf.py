"""Gunicorn: a few processes with threads; threads wait for phones and the store, processes use the cores."""

from core.config import get_settings

_settings = get_settings()

bind = f"127.0.0.1:{_settings.port}"
worker_class = "gthread"
workers = _settings.web_workers
threads = _settings.web_threads
# Android waits 15 s for an answer (PHONE-13); a worker that hangs much longer serves nobody.
timeout = 60
graceful_timeout = 4
keepalive = 75  # longer than apps keep a connection idle
max_requests = 50_000
max_requests_jitter = 5_000
accesslog = None
control_socket_disable = True
