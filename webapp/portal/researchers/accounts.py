"""Changes of accounts: passwords, links, activity, site administrators, deletion (PORTAL-193 to PORTAL-195)."""

from collections.abc import Callable

from flask import abort, flash, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.accounts.acting import (
    delete_researcher,
    end_links,
    make_site_admin,
    new_link,
    reset_password,
    reset_second_factor,
    set_active,
)
from core.accounts.rules.acting import Act
from core.accounts.team import studies_without_admin
from core.database import db
from core.models import Researcher
from webapp.portal.access.confirming import identity_problem
from webapp.portal.access.rules import requires
from webapp.portal.researchers.asking import (
    Refusal,
    carried_out,
    person_in_form,
    rights_over,
    the_person,
)
from webapp.portal.researchers.secrets import show_link, show_password
from webapp.portal.researchers.section import researchers
from webapp.portal.researchers.views import person_page

NUMBER = "<number:researcher_number>"


@researchers.post("/set_researcher_password")
@requires(Capability.RESEARCHER_SET_PASSWORD)
def set_password() -> ResponseReturnValue:
    """Makes a password for one use, or with `how` = `link` a one-time link, and shows it in this answer alone."""
    target = person_in_form()
    if refused := _confirmation(target, Act.SET_PASSWORD, "password"):
        return refused
    if request.form.get("how") == "link":
        return show_link(target, carried_out(lambda: new_link(db.session(), g.researcher, target, g.now)))
    return show_password(target, carried_out(lambda: reset_password(db.session(), g.researcher, target, g.now)))


@researchers.post(f"/reset_researcher_mfa/{NUMBER}")
@requires(Capability.RESEARCHER_RESET_MFA)
def reset_mfa(researcher_number: int) -> ResponseReturnValue:
    """Removes the person's second factor, and ends the person's sessions (PORTAL-56)."""
    target = the_person(researcher_number)
    if refused := _confirmation(target, Act.RESET_MFA, "mfa"):
        return refused
    carried_out(lambda: reset_second_factor(db.session(), g.researcher, target))
    flash(f"{target.username} has no second factor any more, and was signed out.", "good")
    return _to(target)


@researchers.post(f"/withdraw_researcher_link/{NUMBER}")
@requires(Capability.RESEARCHER_SET_PASSWORD)
def withdraw_link(researcher_number: int) -> ResponseReturnValue:
    """Ends the person's one-time link, if it was not used."""
    target = the_person(researcher_number)
    if refused := _confirmation(target, Act.SET_PASSWORD, "link"):
        return refused
    had_one = carried_out(lambda: end_links(db.session(), g.researcher, target, g.now))
    flash("The link does not work any more." if had_one else "There was no open link.", "good" if had_one else "warn")
    return _to(target)


@researchers.post(f"/set_researcher_active/{NUMBER}")
@requires(Capability.RESEARCHER_DEACTIVATE)
def change_active(researcher_number: int) -> ResponseReturnValue:
    """Activates the account (`wanted` = `on`) or deactivates it (`off`)."""
    target, is_active = the_person(researcher_number), _wanted()
    if refused := _confirmation(target, Act.ACTIVATE if is_active else Act.DEACTIVATE, "active"):
        return refused
    orphaned = _orphaned(lambda: set_active(db.session(), g.researcher, target, is_active))
    flash(f"{target.username} {'can sign in again' if is_active else 'was deactivated and signed out'}.", "good")
    _tell_orphaned(orphaned)
    return _to(target)


@researchers.post(f"/set_site_administrator/{NUMBER}")
@requires(Capability.RESEARCHER_SITE_ADMIN)
def change_site_admin(researcher_number: int) -> ResponseReturnValue:
    """Makes the person a site administrator (`wanted` = `on`), or no longer (`off`)."""
    target, is_site_admin = the_person(researcher_number), _wanted()
    act = Act.MAKE_SITE_ADMIN if is_site_admin else Act.UNMAKE_SITE_ADMIN
    if refused := _confirmation(target, act, "site_admin"):
        return refused
    carried_out(lambda: make_site_admin(db.session(), g.researcher, target, is_site_admin))
    flash(f"{target.username} is {'a' if is_site_admin else 'no'} site administrator now.", "good")
    return _to(target)


@researchers.post(f"/delete_researcher/{NUMBER}")
@requires(Capability.RESEARCHER_DELETE)
def delete(researcher_number: int) -> ResponseReturnValue:
    """Deletes a deactivated account, once its name was typed."""
    target = the_person(researcher_number)
    decision = rights_over(target).decision(Act.DELETE)
    if not decision.is_allowed:
        abort(403, decision.reason)
    if request.form.get("typed_name", "").strip() != target.username:
        return person_page(target, Refusal("delete", {"typed_name": f"Type {target.username} to delete the account."}))
    if refused := _confirmation(target, Act.DELETE, "delete"):
        return refused
    username = target.username
    orphaned = _orphaned(lambda: delete_researcher(db.session(), g.researcher, target))
    flash(f"{username} was deleted.", "good")
    _tell_orphaned(orphaned)
    return redirect(url_for("researchers.list"))


def _confirmation(target: Researcher, act: Act, at: str) -> ResponseReturnValue | None:
    """The page again, where the own password and second factor must be entered and were not right; else None."""
    rights = rights_over(target)
    if not rights.may(act) or not rights.must_confirm(act):
        return None
    problem = identity_problem(request.form.get("own_password", ""), with_factor=True)
    return person_page(target, Refusal(at, {"own_password": problem})) if problem else None


def _wanted() -> bool:
    """Whether the form asks for on. Aborts with 400 where it asks for nothing."""
    wanted = request.form.get("wanted")
    return wanted == "on" if wanted in ("on", "off") else abort(400, "The form does not say what is wanted.")


def _orphaned(change: Callable[[], None]) -> list[str]:
    """Makes the change; the names of studies that it left without an administrator of their own (PERM-62)."""
    before = {study.id for study in studies_without_admin(db.session())}
    carried_out(change)
    return [study.name for study in studies_without_admin(db.session()) if study.id not in before]


def _tell_orphaned(names: list[str]) -> None:
    if names:
        flash(f"Without an administrator of their own now: {', '.join(names)}.", "warn")


def _to(target: Researcher) -> ResponseReturnValue:
    return redirect(url_for("researchers.edit", researcher_number=target.id))
