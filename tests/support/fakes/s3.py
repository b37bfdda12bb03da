"""An S3 endpoint over real HTTP that fails on command: Moto's server, with faults of a network and a busy store.

Moto ignores `If-Match` when parts are joined; this one honours it, as S3 does, unless told not to.
"""

import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock, Thread
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
from werkzeug.test import create_environ, run_wsgi_app
from werkzeug.wrappers import Request, Response

_CONDITION_FAILED = "<Error><Code>PreconditionFailed</Code><Message>If-Match</Message></Error>"
_BUSY = "<Error><Code>ServiceUnavailable</Code><Message>Please try again.</Message></Error>"


def is_part(request: Request) -> bool:
    return request.method == "PUT" and "partNumber" in request.args


def is_joining(request: Request) -> bool:
    return request.method == "POST" and "uploadId" in request.args


def is_read(request: Request) -> bool:
    return request.method == "GET" and request.path.count("/") > 1


def is_write(request: Request) -> bool:
    return request.method == "PUT" and request.path.count("/") > 1


SETTLE_SECONDS = 30


@dataclass
class Fault:
    """What happens to the next `times` requests of a kind.

    `busy` answers 503; `cut` sends that share of the contents and hangs up; `hang` waits so many seconds first;
    `lost` does what is asked and hangs up without an answer.
    """

    concerns: Callable[[Request], bool]
    times: int = 1
    busy: bool = False
    cut: float | None = None
    hang: float = 0
    lost: bool = False


@dataclass
class FailingS3:
    """The WSGI application, with what it was asked: method, arguments and size of each request."""

    honours_joining: bool = True
    knows_ranges: bool = True
    faults: list[Fault] = field(default_factory=list)
    asked: list[tuple[str, dict[str, str], int]] = field(default_factory=list)
    address: str = ""

    def __post_init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock, self._joining = Lock(), Lock()
        self._under_way = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with self._lock:
            self._under_way += 1
        try:
            return self._respond(environ, start_response)
        finally:
            with self._lock:
                self._under_way -= 1

    def settle(self) -> None:
        """Waits for requests whose client has gone: what hangs still happens."""
        end = time.monotonic() + SETTLE_SECONDS
        while self._under_way:
            assert time.monotonic() < end, "requests to the store do not end"
            time.sleep(0.01)

    def _respond(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ, populate_request=False)
        fault = self._fault_of(request)
        with self._lock:
            self.asked.append((request.method, request.args.to_dict(), request.content_length or 0))
        if fault is None:
            return self._answer(request, environ)(environ, start_response)
        time.sleep(fault.hang)
        if fault.busy:
            request.get_data(cache=False)
            return Response(_BUSY, 503, content_type="application/xml")(environ, start_response)
        answer = self._answer(request, environ)
        if fault.lost:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionAbortedError
        if fault.cut is None:
            return answer(environ, start_response)
        contents = answer.get_data()
        start_response(f"{answer.status_code} cut", list(answer.headers))
        return _broken_off(contents[: int(len(contents) * fault.cut)])

    def count(self, method: str, argument: str = "") -> int:
        """Requests of a method with this argument."""
        return sum(m == method and (not argument or argument in arguments) for m, arguments, _ in self.asked)

    def _fault_of(self, request: Request) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.times and fault.concerns(request):
                    fault.times -= 1
                    return fault
        return None

    def _answer(self, request: Request, environ: dict[str, Any]) -> Response:
        wanted = request.headers.get("If-Match")
        if is_joining(request):
            with self._joining:  # Moto looks at the condition some time before it acts
                if wanted and self.honours_joining and self._etag(environ) != wanted:
                    return Response(_CONDITION_FAILED, 412, content_type="application/xml")
                if not self.honours_joining:
                    environ.pop("HTTP_IF_NONE_MATCH", None)
                return self._answer_of_moto(environ)
        if not self.knows_ranges:
            environ.pop("HTTP_RANGE", None)
        return self._answer_of_moto(environ)

    def _answer_of_moto(self, environ: dict[str, Any]) -> Response:
        pieces, status, headers = run_wsgi_app(self._moto, environ)
        return Response(list(pieces), status, headers)

    def _etag(self, environ: dict[str, Any]) -> str | None:
        names = ("HTTP_HOST", "HTTP_AUTHORIZATION")
        more = {name: environ[name] for name in names}
        _, _, headers = run_wsgi_app(self._moto, create_environ(environ["PATH_INFO"], method="HEAD") | more)
        return headers.get("ETag")


def _broken_off(contents: bytes) -> Iterator[bytes]:
    yield contents
    raise ConnectionAbortedError


@contextmanager
def running_s3(application: FailingS3) -> Iterator[FailingS3]:
    """Serves on a free port until the block is left."""
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler)
    server.log = lambda *_: None  # type: ignore[method-assign]
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    application.address = f"http://127.0.0.1:{server.server_port}"
    yield application
    server.shutdown()
    thread.join(5)
