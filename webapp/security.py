"""Security of every request and answer: headers, host name, HTTPS. Pages have no inline script or style (PORTAL-8)."""

from flask import Response, abort, redirect, request
from flask.typing import ResponseReturnValue

from webapp.stores import settings

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "font-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


def set_security_headers(response: Response) -> Response:
    """Sets security headers, and forbids caching of everything but static files."""
    headers = response.headers
    headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    headers["X-Content-Type-Options"] = "nosniff"
    headers["X-Frame-Options"] = "DENY"
    headers["Referrer-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if request.endpoint != "static":
        headers.setdefault("Cache-Control", "no-store")
    return response


# Load balancers request these by IP address and over plain HTTP (OPS-3).
FOR_LOAD_BALANCERS = ("/healthz", "/readyz", "/metrics")
A_YEAR = 365 * 24 * 3600


def insist_on_host_and_tls() -> ResponseReturnValue | None:
    """In production, answers 400 for another host name and redirects plain HTTP to HTTPS (OPS-3)."""
    if request.path.rstrip("/") in FOR_LOAD_BALANCERS:
        return None
    if request.host.partition(":")[0].lower() != settings().domain_name.lower():
        abort(400, "This server does not answer to that host name.")
    if not request.is_secure:
        return redirect(request.url.replace("http://", "https://", 1), 301)
    return None


def set_transport_security(response: Response) -> Response:
    """Tells browsers to use only HTTPS from now on (HSTS)."""
    response.headers["Strict-Transport-Security"] = f"max-age={A_YEAR}; includeSubDomains"
    return response


def refuse_nul() -> None:
    """Answers 400 if a field contains a NUL character, which PostgreSQL's text columns cannot store (MODEL-7)."""
    if any("\0" in value for values in (request.form, request.args) for _, value in values.items(multi=True)):
        abort(400, "A field holds a NUL character.")
