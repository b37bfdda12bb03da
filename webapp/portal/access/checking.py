"""Checks every request of the portal against the access rule of its view (PERM-10, PERM-19).

The order of the checks: method, session, CSRF token, the study exists and is not hidden, role in it, the participant
belongs to it, capability, forced change of password.
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from flask import abort, flash, g, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf import CSRFProtect

from core.access import UNKNOWN, Capability, Decision, Outcome, Requester, decide
from core.accounts import account_rule, what_is_due
from core.audit.origin import current_origin, set_origin
from core.database import db
from core.models import Researcher, Study
from core.models.participant import participant_in_study
from core.models.researcher import requester_of
from webapp.portal.access.known_browsers import set_cookie
from webapp.portal.access.return_pages import note_return_page
from webapp.portal.access.rules import AccessRule, access_rule_of
from webapp.portal.access.sessions import is_from_elsewhere, note_page
from webapp.portal.frame.pages import is_htmx, lead_to, wants_json
from webapp.portal.frame.section import Section
from webapp.security import refuse_nul
from webapp.stores import settings

LONGEST_NUMBER = 18  # digits of a 64-bit number
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
csrf = CSRFProtect()


def guard(section: Section) -> None:
    """Checks every request to this section before its view runs."""
    section.before_request(check_access)
    section.before_request(refuse_nul)
    section.after_request(set_cookie)


def check_access() -> ResponseReturnValue | None:
    """Returns None if the request may go on to its view, else a redirect. Aborts with 400, 403 or 404.

    Sets `g.access_rule`, `g.now`, `g.researcher` and `g.actor`, and for a study's pages `g.study` and `g.participant`.
    """
    rule = access_rule_of(request.endpoint)
    if rule is None:
        abort(403)  # not reached for our views: `require_access_rules` checks at start-up
    g.access_rule = rule
    g.now = datetime.now(UTC)
    g.researcher = current_user.researcher if current_user.is_authenticated else None
    if g.researcher and not rule.is_polled:
        note_page(current_user, g.now)
    if rule.needs_session and g.researcher is None:
        return _to_sign_in(rule)
    if rule.needs_token and g.researcher:  # without a session, a forged request gains nothing
        csrf.protect()
        if request.method not in SAFE_METHODS and is_from_elsewhere():
            abort(403, "Another site caused this request. Nothing was changed.")
    g.actor = _actor(g.researcher) if g.researcher else None
    set_origin(replace(current_origin(), requester=g.actor))  # the audit trail names the role of this moment
    if rule.capability:
        _check_capability(g.actor, rule.capability, rule)
    if not rule.needs_session:
        return None
    g.account_rule = account_rule(
        db.session(), g.researcher, site_admins_need_second_factor=settings().require_site_admin_mfa
    )
    g.due = what_is_due(g.researcher, g.account_rule, g.now)
    if g.due and not rule.is_open_to_forced:
        flash(g.due[1], "warn")
        return lead_to(url_for("account.page"))
    if rule.is_return_page and request.method == "GET" and not is_htmx():
        note_return_page(g.researcher, request.path)
    return None


def _actor(researcher: Researcher) -> Requester:
    return requester_of(db.session(), researcher, least_purge_role=settings().data_deletion_usertype)


def _check_capability(actor: Requester, capability: Capability, rule: AccessRule) -> None:
    """Sets `g.study` and `g.participant`. Aborts with 404 or 403 if `decide` refuses."""
    if not rule.is_about_study:
        _refuse_unless_allowed(decide(actor, capability))
        return
    if not (request.view_args or {}).get("study_number") and "study_id" not in request.form:
        abort(400, "The form says of no study: `study_id` is missing.")
    study = _study_asked_for()
    if rule.shows_hidden and study and study.hidden_at:
        capability = Capability.STUDY_UNHIDE
    patient_id = (request.view_args or {}).get("patient_id") or request.form.get("patient_id")
    participant = participant_in_study(db.session(), study.id, patient_id) if patient_id and study else None
    is_unknown = patient_id is not None and participant is None
    _refuse_unless_allowed(decide(actor, capability, study, UNKNOWN if is_unknown else participant))
    g.study, g.participant = study, participant
    if rule.is_about_participant and participant is None:
        abort(400, "The form says of no participant: `patient_id` is missing.")


def _refuse_unless_allowed(decision: Decision) -> None:
    if decision.outcome is Outcome.NOT_FOUND:
        abort(404, decision.reason)
    if not decision.is_allowed:
        abort(403, decision.reason)


def _study_asked_for() -> Study | None:
    number: Any = (request.view_args or {}).get("study_number") or request.form.get("study_id", "")
    if isinstance(number, str) and not (number.isascii() and number.isdecimal() and len(number) <= LONGEST_NUMBER):
        return None
    return db.session.get(Study, int(number))


def _to_sign_in(rule: AccessRule) -> ResponseReturnValue:
    if wants_json():
        return {"error": "sign in first"}, 401
    has_ended = 1 if "_user_id" in session else None
    return lead_to(url_for("access.sign_in", page=request.path if rule.is_return_page else None, ended=has_ended))
