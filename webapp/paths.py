"""Corrects paths as phones build them: the address that the participant typed, followed by the endpoint (PHONE-4)."""

from collections.abc import Iterable
from typing import Any


class OneLeadingSlash:
    """WSGI middleware that treats several leading slashes as one, without a redirect.

    They appear when the participant typed a slash at the end of the address.
    """

    def __init__(self, application: Any) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith("//"):
            environ["PATH_INFO"] = "/" + path.lstrip("/")
        answer: Iterable[bytes] = self.application(environ, start_response)
        return answer
