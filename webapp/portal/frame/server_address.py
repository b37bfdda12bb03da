"""The address that participants type into the app, for all pages that show it."""

from flask import request

from webapp.stores import settings


def server_address() -> str:
    """The configured domain name; without one, the host name of this request."""
    name = settings().domain_name
    return request.host if name == "localhost" else name
