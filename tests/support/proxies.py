"""HAProxy and nginx with the project's own configurations (ops/proxy), in plain HTTP on a free port of loopback."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.config import REPOSITORY
from tests.support.ports import free_port, is_listening, wait_until

CONFIGURATIONS = REPOSITORY / "ops" / "proxy"
HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/bin")
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin")
STOP_SECONDS = 10


@contextmanager
def haproxy_before(port: int, folder: Path) -> Iterator[int]:
    """The port of an HAProxy in front of a server."""
    own = free_port()
    text = (CONFIGURATIONS / "haproxy.cfg").read_text()
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    text = re.sub(r"bind :443 .*", f"bind 127.0.0.1:{own}", text)
    file = folder / "haproxy.cfg"
    file.write_text(text)
    with _running([HAPROXY or "haproxy", "-db", "-f", str(file)], own):
        yield own


@contextmanager
def nginx_before(port: int, folder: Path) -> Iterator[int]:
    """The port of an nginx in front of a server."""
    own = free_port()
    text = (CONFIGURATIONS / "nginx.conf").read_text()
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    text = text.replace("listen 443 ssl;", f"listen 127.0.0.1:{own};")
    text = re.sub(r"ssl_certificate(_key)? .*", "", text)
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    kept = "\n".join(f"    {name}_temp_path {folder}/{name};" for name in names)
    file = folder / "nginx.conf"
    user = "user root;\n" if os.geteuid() == 0 else ""  # nginx's own may not enter a folder of tests
    file.write_text(f"{user}daemon off;\npid {folder}/nginx.pid;\n" + text.replace("http {", "http {\n" + kept))
    with _running([NGINX or "nginx", "-e", "stderr", "-p", str(folder), "-c", str(file)], own):
        yield own


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: process.poll() is not None or is_listening(port))
        assert process.poll() is None, f"{command[0]} does not start"
        yield
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)
