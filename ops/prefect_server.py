"""`python -m ops.prefect_server`: Prefect's server, which answers nobody without the shared secret (CLAR-1).

Who commands Prefect runs programs as the server's user. So each request needs PREFECT_API_AUTH_STRING (else the secret
that is kept under VAR_DIR), and a Host header that is expected: a page of another site whose name is made to lead to
this machine gets no answer. Browsers are told to let no other site's pages in.
"""

import os
import sys

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

    app = TrustedHostMiddleware(
        create_app(final=True), allowed_hosts=settings.prefect_allowed_host_names, www_redirect=False
    )
    uvicorn.run(
        app, host=settings.prefect_host, port=settings.prefect_port, timeout_keep_alive=KEEP_ALIVE_SECONDS,
        log_level="warning", server_header=False,
    )  # fmt: skip


def server_environment(settings: Settings) -> dict[str, str]:
    """Prefect's own settings for its server."""
    origins = [f"http://{name}:{settings.prefect_port}" for name in settings.prefect_allowed_host_names]
    origins += [f"https://{name}" for name in settings.prefect_allowed_host_names]
    return {
        "PREFECT_SERVER_API_AUTH_STRING": settings.prefect_auth_string,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(origins),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }


if __name__ == "__main__":
    main()
