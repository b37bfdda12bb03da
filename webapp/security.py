"""Security of every request and answer: headers, host name, HTTPS. Pages have no inline script or style (PORTAL-8)."""

from flask import Response, abort, redirect, request
from flask.typing import ResponseReturnValue
from secure import (
    ContentSecurityPolicy,
    CrossOriginOpenerPolicy,
    CrossOriginResourcePolicy,
    PermissionsPolicy,
    ReferrerPolicy,
    Secure,
    StrictTransportSecurity,
    XContentTypeOptions,
    XFrameOptions,
)

from webapp.stores import settings

_PAGES = Secure(
    csp=ContentSecurityPolicy()
    .default_src("'none'")
    .script_src("'self'")
    .style_src("'self'")
    .font_src("'self'")
    .img_src("'self'", "data:")
    .media_src("'self'")
    .connect_src("'self'")
    .form_action("'self'")
    .base_uri("'none'")
    .frame_ancestors("'none'"),
    coop=CrossOriginOpenerPolicy().same_origin(),
    corp=CrossOriginResourcePolicy().same_origin(),
    permissions=PermissionsPolicy().camera().microphone().geolocation().payment().usb().browsing_topics(),
    referrer=ReferrerPolicy().same_origin(),
    xcto=XContentTypeOptions().nosniff(),
    xfo=XFrameOptions().deny(),
)
HEADERS = dict(_PAGES.headers)
ATTACHMENTS = {"application/json": "json", "text/plain": "txt"}
A_YEAR = 365 * 24 * 3600
TRANSPORT_HEADERS = dict(Secure(hsts=StrictTransportSecurity().max_age(A_YEAR).include_subdomains()).headers)


def set_security_headers(response: Response) -> Response:
    """Sets security headers, and forbids caching of everything but static files.

    Answers of the data API are attachments: a browser that is led to one stores it, and shows no page.
    """
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)  # pages for Tableau have a policy of their own (CLAR-76)
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    if request.blueprint == "data_api" and (ending := ATTACHMENTS.get(response.mimetype or "")):
        response.headers.setdefault("Content-Disposition", f'attachment; filename="api.{ending}"')
    return response


# Load balancers request these by IP address and over plain HTTP (OPS-3).
FOR_LOAD_BALANCERS = ("/healthz", "/readyz", "/metrics")


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
    response.headers.update(TRANSPORT_HEADERS)
    return response


def refuse_nul() -> None:
    """Answers 400 if a field contains a NUL character, which PostgreSQL's text columns cannot store (MODEL-7)."""
    if any("\0" in value for values in (request.form, request.args) for _, value in values.items(multi=True)):
        abort(400, "A field holds a NUL character.")
