"""Clients that put load on a server: `python -m tests.support.disturbers KIND PORT SECONDS JSON`.

In a process of their own, so that they do not slow down the measuring. Prints a count of what they heard.
"""

import http.client
import json
import random
import socket
import string
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
THINK_SECONDS = 10.0  # between two pages of one viewer
KEY_CHARACTERS = string.ascii_letters + string.digits + "+/"


class Disturbers:
    """`count` clients of one kind at a server's port, until `end` (of a monotonic clock)."""

    def __init__(self, port: int, seconds: float, options: dict[str, Any]) -> None:
        self.port = port
        self.end = time.monotonic() + seconds
        self.options = options
        self.heard: Counter[str] = Counter()

    def run(self, client: Callable[[int], None], count: int) -> None:
        """Runs so many clients, each in a thread, to the end of the time."""
        threads = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, self.end - time.monotonic()) + 5)

    def wrong_keys(self, _: int) -> None:
        """Asks with random keys, as fast as answers come."""
        while time.monotonic() < self.end:
            self._post("/get-studies/v1", {"access_key": _key(), "secret_key": _key()})

    def wrong_secrets(self, _: int) -> None:
        """Guesses the secret of a key that exists."""
        while time.monotonic() < self.end:
            self._post("/get-studies/v1", {"access_key": self.options["access_key"], "secret_key": _key()})

    def stopping_readers(self, _: int) -> None:
        """Asks for data, takes a little, and reads no further."""
        body = urlencode(self.options).encode()
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            head = f"POST /get-data/v1 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {FORM['Content-Type']}\r\n"
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            with suppress(OSError):
                connection.settimeout(max(0.1, self.end - time.monotonic()))
                self.heard["begun" if connection.recv(1000) else "closed"] += 1
            time.sleep(max(0.0, self.end - time.monotonic()))

    def silent(self, number: int) -> None:
        """Connects and says nothing, one byte, or headers without an end; comes back when it is closed."""
        while time.monotonic() < self.end:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)) as connection:
                connection.sendall((b"", b"P", b"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\n")[number % 3])
                while time.monotonic() < self.end:
                    time.sleep(1)
                    if number % 3 == 2:
                        connection.sendall(b"X-More: 1\r\n")
            self.heard["connections"] += 1

    def viewers(self, number: int) -> None:
        """Looks at the pages of a study as a signed-in researcher, one every some seconds."""
        time.sleep(THINK_SECONDS * number / 100)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while time.monotonic() < self.end:
            for path in self.options["pages"]:
                try:
                    connection.request("GET", path, headers={"Cookie": self.options["cookie"], "Accept": "text/html"})
                    answer = connection.getresponse()
                    answer.read()
                    self.heard[str(answer.status)] += 1
                except (OSError, http.client.HTTPException) as error:
                    self.heard[type(error).__name__] += 1
                    connection.close()
            time.sleep(THINK_SECONDS)

    def _post(self, path: str, fields: dict[str, str]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("POST", path, urlencode(fields), FORM)
            self.heard[str(connection.getresponse().status)] += 1
        except (OSError, http.client.HTTPException) as error:
            self.heard[type(error).__name__] += 1
        finally:
            connection.close()


def _key() -> str:
    return "".join(random.choices(KEY_CHARACTERS, k=64))


def main() -> None:
    """Runs what the arguments say."""
    kind, port, seconds, options = sys.argv[1:5]
    given = json.loads(options)
    count = given.pop("count")
    disturbers = Disturbers(int(port), float(seconds), given)
    disturbers.run(getattr(disturbers, kind), count)
    print(json.dumps(disturbers.heard))


if __name__ == "__main__":
    main()
