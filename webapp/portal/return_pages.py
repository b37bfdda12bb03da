"""Where sign-in may lead back to: only pages of ours, written as we would write them (PORTAL-7, PORTAL-24 to 26)."""

from flask import current_app, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from core.database import db
from core.models import Researcher, Study
from webapp.portal.doors import door_of, refusal_in_study


def return_page(path: str | None, researcher: Researcher | None = None) -> str | None:
    """The path if it is, byte for byte, a page that sign-in may lead to, and one the researcher may open; else None."""
    if not path:
        return None
    try:
        endpoint, arguments = current_app.url_map.bind("localhost").match(path, method="GET")
    except (HTTPException, RequestRedirect):
        return None
    door = door_of(endpoint)
    if door is None or not door.is_return_page or url_for(endpoint, **arguments) != path:
        return None
    if researcher and door.capability:
        study = db.session.get(Study, arguments["study_number"])
        if refusal_in_study(researcher, study, door.capability):
            return None
    return path
