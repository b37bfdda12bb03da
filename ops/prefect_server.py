"""`python -m ops.prefect_server`: Prefect's server, which answers only requests with the shared secret (CLAR-1).

People who control Prefect run programs as the server's user. So each request needs PREFECT_API_AUTH_STRING (or the
secret kept under VAR_DIR) and an expected Host header, which stops pages of other sites whose name resolves to this
machine (DNS rebinding). Browsers refuse access to pages of other sites.

One request needs no secret: a program on this machine may list the names of the deployments through Prefect's own
`/api/deployments/filter`, to check that all is set up. Names give no control.
"""

import base64
import json
import os
import sys
from collections.abc import MutableMapping
from typing import Any

from core.config import ConfigurationError, Settings, get_settings

KEEP_ALIVE_SECONDS = 5


def main() -> None:
    """Serves until SIGTERM or SIGINT."""
    try:
        settings = get_settings()
        os.environ |= server_environment(settings)
    except ConfigurationError as error:
        sys.exit(f"Error: {error}")
    # These read Prefect's settings from the environment when they are imported.
    import uvicorn
    from prefect.server.api.server import create_app
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    named = NamesOfDeployments(create_app(final=True), settings.prefect_auth_string)
    app = TrustedHostMiddleware(named, allowed_hosts=settings.prefect_allowed_host_names, www_redirect=False)
    uvicorn.run(
        app,
        host=settings.prefect_host,
        port=settings.prefect_port,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        log_level="warning",
        server_header=False,
    )


class NamesOfDeployments:
    """ASGI middleware: gives programs of this machine the names of the deployments; passes on all else."""

    PATH = "/api/deployments/filter"
    LOCAL = ("127.0.0.1", "::1")

    def __init__(self, application: Any, secret: str) -> None:
        self.application = application
        self._authorization = (b"authorization", b"Basic " + base64.b64encode(secret.encode()))

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if not self._is_for_us(scope):
            await self.application(scope, receive, send)
            return
        answer: dict[str, Any] = {}
        pieces: list[bytes] = []

        async def collect(message: dict[str, Any]) -> None:
            answer.update(message if message["type"] == "http.response.start" else {})
            pieces.append(message.get("body", b""))

        await self.application({**scope, "headers": [*scope["headers"], self._authorization]}, receive, collect)
        names = [{"name": d["name"]} for d in json.loads(b"".join(pieces))] if answer["status"] == 200 else []
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": answer["status"], "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(names).encode()})

    def _is_for_us(self, scope: MutableMapping[str, Any]) -> bool:
        """Whether a request comes from a program of this machine: browsers send Origin, proxies a forwarded address."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != self.PATH:
            return False
        names = {name.lower() for name, _ in scope["headers"]}
        is_direct = names.isdisjoint({b"origin", b"authorization", b"x-forwarded-for", b"forwarded", b"sec-fetch-site"})
        return is_direct and (scope["client"] or ("",))[0] in self.LOCAL


def server_environment(settings: Settings) -> dict[str, str]:
    """The environment variables that configure Prefect's server."""
    origins = [f"http://{name}:{settings.prefect_port}" for name in settings.prefect_allowed_host_names]
    origins += [f"https://{name}" for name in settings.prefect_allowed_host_names]
    return {
        "PREFECT_SERVER_API_AUTH_STRING": settings.prefect_auth_string,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(origins),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }


if __name__ == "__main__":
    main()
