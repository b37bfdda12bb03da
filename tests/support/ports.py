"""Ports of loopback, and waiting for what listens on them."""

import socket
import time
from collections.abc import Callable

READY_SECONDS = 30.0


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def is_listening(port: int) -> bool:
    """Whether a server accepts connections at that port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_until(is_so: Callable[[], object], seconds: float = READY_SECONDS) -> None:
    """Waits until the condition holds. Fails the test if it does not within the time."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
