"""Paths as phones build them: the address that the participant typed, and behind it the endpoint's (PHONE-4)."""

from collections.abc import Iterable
from typing import Any


class OneLeadingSlash:
    """WSGI middleware that treats a run of leading slashes as one, without a redirect: a typed slash at the end."""

    def __init__(self, application: Any) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith("//"):
            environ["PATH_INFO"] = "/" + path.lstrip("/")
        answer: Iterable[bytes] = self.application(environ, start_response)
        return answer
