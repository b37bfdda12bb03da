"""Who comes in: each view of the portal names its door, and one function opens it (PERM-4, PERM-10, PERM-19).

The order is: method, session, token, study exists and is not hidden, relation, participant is of that study,
capability, forced redirect. A view without a door keeps the application from starting.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from flask import Blueprint, Flask, Response, abort, current_app, flash, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf import CSRFProtect
from werkzeug.routing import BaseConverter

from core.access import Capability, Outcome, decide
from core.database import db
from core.models import Participant, Researcher, Study
from core.models.participant import participant_in_study
from core.models.researcher import actor_of
from webapp.portal.known_browsers import set_cookie
from webapp.portal.sessions import note_page
from webapp.security import refuse_nul

MOST_FORM_BYTES = 1 << 20
View = TypeVar("View", bound=Callable[..., ResponseReturnValue])

portal = Blueprint("portal", __name__)
csrf = CSRFProtect()


class NumberConverter(BaseConverter):
    """A study's number in its shortest form; anything else is no such page (PORTAL-3)."""

    regex = r"[1-9][0-9]{0,17}"
    to_python = staticmethod(int)


portal.record_once(lambda state: state.app.url_map.converters.update(number=NumberConverter))


@dataclass(frozen=True)
class Door:
    """What a view asks of its visitor.

    `capability`: what the visitor must be allowed to do in the study of the path, or of the form's `study_id` where
    the path has none. `is_return_page`: sign-in may lead back to it (PORTAL-25). `is_polled`: a page asks for it by
    itself, so it does not prolong the session (PORTAL-27). `is_open_to_forced`: those who must set a new password
    first may use it (PERM-41). `is_for_site_admins`: nobody else gets in.
    """

    needs_session: bool = True
    needs_token: bool = True
    capability: Capability | None = None
    is_return_page: bool = False
    is_polled: bool = False
    is_open_to_forced: bool = False
    is_for_site_admins: bool = False


def public(*, needs_token: bool = True) -> Callable[[View], View]:
    """For anybody."""
    return _with(Door(needs_session=False, needs_token=needs_token, is_open_to_forced=True))


def signed_in(*, is_open_to_forced: bool = False) -> Callable[[View], View]:
    """For anyone signed in. The view finds `g.researcher`."""
    return _with(Door(is_open_to_forced=is_open_to_forced))


def for_site_admins() -> Callable[[View], View]:
    """For site administrators."""
    return _with(Door(is_for_site_admins=True))


def in_study(
    capability: Capability, *, is_return_page: bool = False, is_polled: bool = False
) -> Callable[[View], View]:
    """For those who may do this in the study. The view finds `g.study` and, with a patient id, `g.participant`."""
    return _with(Door(capability=capability, is_return_page=is_return_page, is_polled=is_polled))


def _with(door: Door) -> Callable[[View], View]:
    def name_door(view: View) -> View:
        view.door = door  # type: ignore[attr-defined]
        return view

    return name_door


def door_of(endpoint: str | None) -> Door | None:
    """The door of a portal endpoint; None for what is not the portal's."""
    view = current_app.view_functions.get(endpoint or "")
    door: Door | None = getattr(view, "door", None)
    return door


def require_doors(app: Flask) -> None:
    """Raises RuntimeError when a view of the portal names no door."""
    for endpoint, view in app.view_functions.items():
        if endpoint.startswith("portal.") and not hasattr(view, "door"):
            raise RuntimeError(f"{endpoint} names no door")


@portal.before_request
def open_door() -> ResponseReturnValue | None:
    """Lets the visitor in, or answers in the view's place."""
    request.max_content_length = request.max_form_memory_size = MOST_FORM_BYTES
    g.door = door = door_of(request.endpoint)
    g.now = datetime.now(UTC)
    g.researcher = current_user.researcher if current_user.is_authenticated else None
    if g.researcher and not door.is_polled:
        note_page(current_user, g.now)
    if door.needs_session and g.researcher is None:
        return _to_sign_in(door)
    if door.needs_token and g.researcher:  # without a session there is nothing that another site could misuse
        csrf.protect()
    if door.is_for_site_admins and not g.researcher.is_site_admin:
        abort(403)
    if door.capability:
        _enter_study(door.capability)
    if door.needs_session and not door.is_open_to_forced and g.researcher.must_change_password:
        flash("This password was meant for one use. Set your own to go on.", "warn")
        return lead_to(url_for("portal.manage_credentials"))
    return None


portal.before_request(refuse_nul)
portal.after_request(set_cookie)


def refusal_in_study(researcher: Researcher, study: Study | None, capability: Capability) -> int | None:
    """404 where there is no such study to be seen, 403 where the researcher may not do this in it, else None."""
    outcome = decide(actor_of(db.session(), researcher), capability, study).outcome
    return {Outcome.ALLOWED: None, Outcome.NOT_FOUND: 404, Outcome.FORBIDDEN: 403}[outcome]


def lead_to(address: str) -> Response:
    """A redirect, also for a request by HTMX, which must not swap another page in (PERM-18)."""
    if request.htmx:  # type: ignore[attr-defined]
        return Response(status=204, headers={"HX-Redirect": address})
    return redirect(address)  # type: ignore[return-value]


def wants_page() -> bool:
    """Whether the client asks for HTML by name, as browsers and HTMX do; programs send `*/*` or nothing."""
    return "text/html" in request.accept_mimetypes.values()


def wants_json() -> bool:
    """Whether the client asks for JSON rather than for a page."""
    return "application/json" in request.accept_mimetypes.values() and not wants_page()


def _to_sign_in(door: Door) -> ResponseReturnValue:
    if wants_json():
        return {"error": "sign in first"}, 401
    return lead_to(url_for("portal.sign_in", page=request.path if door.is_return_page else None))


def _enter_study(capability: Capability) -> None:
    number: Any = (request.view_args or {}).get("study_number") or request.form.get("study_id", "")
    if isinstance(number, str) and not (number.isascii() and number.isdecimal() and len(number) <= 18):
        abort(404)
    study = db.session.get(Study, int(number))
    if refusal := refusal_in_study(g.researcher, study, capability):
        abort(refusal)
    g.study = study
    if patient_id := (request.view_args or {}).get("patient_id"):
        g.participant = _participant_of(study, patient_id)


def _participant_of(study: Study | None, patient_id: str) -> Participant:
    participant = participant_in_study(db.session(), study.id, patient_id) if study else None
    if participant is None:
        abort(404)
    return participant
