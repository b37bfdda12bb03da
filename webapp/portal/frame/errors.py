"""Answers to errors: a page of the portal, JSON for clients that ask for it, one line for other programs (OPS-34)."""

from contextlib import suppress

from flask import Flask, Response, g, render_template
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import BadRequest, Forbidden, HTTPException

from core.access import Capability, decide
from core.database import db
from core.models import Researcher
from core.models.researcher import requester_of
from webapp.downtime import is_down
from webapp.portal.frame.pages import is_htmx, wants_json, wants_page
from webapp.portal.frame.section import is_portal_page

# For each status: what happened, and what to do.
SENTENCES = {
    400: ("This request cannot be read", "Something in it is missing or malformed. Nothing was changed."),
    403: ("No access", "Your account has no access to this. An administrator of the study can give it."),
    404: ("No such page", "The address is wrong, or the page no longer exists."),
    405: ("Method not allowed", "This address does not take requests of this kind. Nothing was changed."),
    413: ("Too large", "More was sent than this page takes. Nothing was changed."),
    429: ("Too many attempts", "Wait a minute, then try again."),
    500: ("Something broke here", "The server failed on this request, and nothing was changed. Trying again may help."),
    503: ("Not available at the moment", "Nothing was changed. Try again in a few minutes."),
}
DOWN = (
    "This site is being worked on. Phones keep their data until it is back; nothing was changed here. "
    "Try again in a few minutes."
)
STALE_FORM = "This form was opened in another session. Nothing was changed; open the page again and repeat."


def init_error_pages(app: Flask) -> None:
    """Registers the handlers of all errors that no blueprint handles itself."""
    app.register_error_handler(CSRFError, _stale_form)
    for status in SENTENCES:
        app.register_error_handler(status, error_page)


def error_page(error: HTTPException, explanation: str | None = None) -> ResponseReturnValue:
    """The answer to an HTTP error, in the form that the client expects. `explanation` replaces the status's own."""
    db.session.rollback()
    status = error.code or 500
    title, default = SENTENCES[status]
    if status in (400, 403) and error.description not in (BadRequest.description, Forbidden.description):
        default = error.description or default  # the reason of a refusal (PERM-17)
    is_in_downtime = status == 503 and is_down()
    if is_in_downtime:
        default = DOWN
    headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
    if not is_portal_page() or not (wants_json() or wants_page()):
        return Response(f"{title}\n", status, headers, content_type="text/plain; charset=utf-8")
    if wants_json():
        return {"error": title, "reference": g.get("request_id")}, status, headers
    if is_htmx():
        return _in_page(title, explanation or default, status)
    visitor = _visitor(status, is_in_downtime=is_in_downtime)
    page = render_template(
        "portal/frame/error.html",
        status=status,
        title=title,
        explanation=explanation or default,
        reference=g.get("request_id"),
        visitor=visitor,
        can_end_downtime=is_in_downtime and _can_end_downtime(visitor),
        is_in_downtime=is_in_downtime,
    )
    return page, status, headers


def _visitor(status: int, *, is_in_downtime: bool) -> Researcher | None:
    """Who is signed in, also at an unknown address; None if the database does not answer.

    After a failure the database is not asked, since it may be the cause.
    """
    visitor: Researcher | None = None
    if status >= 500 and not is_in_downtime:
        visitor = g.get("researcher")
    else:
        with suppress(SQLAlchemyError):
            visitor = current_user.researcher if current_user.is_authenticated else None
    return visitor


def _can_end_downtime(visitor: Researcher | None) -> bool:
    with suppress(SQLAlchemyError):
        return visitor is not None and decide(requester_of(db.session(), visitor), Capability.DOWNTIME).is_allowed
    return False


def _in_page(title: str, explanation: str, status: int) -> ResponseReturnValue:
    """The answer for HTMX: a line above the page's content, which stays. A failed poll changes nothing."""
    rule = g.get("access_rule")
    if rule is not None and rule.is_polled:
        return "", status, {"HX-Reswap": "none"}
    line = render_template("portal/frame/_problem.html", title=title, explanation=explanation)
    return line, status, {"HX-Retarget": "#problem", "HX-Reswap": "innerHTML"}


def _stale_form(error: CSRFError) -> ResponseReturnValue:
    """403 for a missing or wrong CSRF token, as for any refusal (PERM-30)."""
    return error_page(Forbidden(), STALE_FORM)
