"""Pages to which sign-in may return: only our own, with exactly the path that we build (PORTAL-7, PORTAL-24 to 26)."""

from flask import current_app, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from core.access import decide
from core.database import db
from core.models import Researcher, Study
from core.models.researcher import requester_of
from webapp.portal.access.rules import access_rule_of


def return_page(path: str | None, researcher: Researcher | None = None) -> str | None:
    """The path if sign-in may return to that page and the researcher may open it; else None.

    The path must equal, byte for byte, the one that `url_for` builds.
    """
    if not path:
        return None
    try:
        endpoint, arguments = current_app.url_map.bind("localhost").match(path, method="GET")
    except (HTTPException, RequestRedirect):
        return None
    rule = access_rule_of(endpoint)
    if rule is None or not rule.is_return_page or url_for(endpoint, **arguments) != path:
        return None
    if researcher and rule.capability:
        study = db.session.get(Study, arguments["study_number"]) if rule.is_about_study else None
        if not decide(requester_of(db.session(), researcher), rule.capability, study).is_allowed:
            return None
    return path


def note_return_page(researcher: Researcher, path: str) -> None:
    """Remembers the page, for the next time that this person signs in (PORTAL-25). Commits if it is another one."""
    if researcher.last_page != path:
        researcher.last_page = path
        db.session.commit()
