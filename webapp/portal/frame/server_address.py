"""The address that participants type into the app, for every page that hands it over."""

from flask import request

from webapp.stores import settings


def server_address() -> str:
    """The server's public name; where none is set, the one by which the page was asked for."""
    name = settings().domain_name
    return request.host if name == "localhost" else name
