"""A section of the portal: a blueprint whose pages share the portal's layout, access check and error pages."""

from flask import Blueprint, Flask, current_app, request


class Section(Blueprint):
    """A blueprint of the portal. Its name is the first part of its endpoints, such as `participants.list`."""


def is_portal_page() -> bool:
    """Whether this request is for a page of the portal, or for an address that nothing serves."""
    name = request.blueprint
    return name is None or isinstance(current_app.blueprints[name], Section)


def section_endpoints(app: Flask) -> list[str]:
    """The endpoints of all sections."""
    names = [name for name, blueprint in app.blueprints.items() if isinstance(blueprint, Section)]
    return [endpoint for endpoint in app.view_functions if endpoint.rpartition(".")[0] in names]
