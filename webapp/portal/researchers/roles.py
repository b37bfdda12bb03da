"""Roles of people in studies; the addresses are the existing platform's (PORTAL-190, PERM-60)."""

from flask import flash, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability, Role
from core.accounts.acting import demote, elevate, give_role, remove_role
from core.accounts.rights_table import ROLE_NAMES
from core.accounts.roles import RoleRefused
from core.accounts.rules.acting import Act
from core.database import db
from core.models import Researcher
from webapp.portal.access.rules import requires
from webapp.portal.researchers.asking import (
    Refusal,
    carried_out,
    last_day_in_form,
    person_in_form,
    rights_over,
    role_in_form,
)
from webapp.portal.researchers.section import researchers
from webapp.portal.researchers.team import team_page
from webapp.portal.researchers.views import person_page


@researchers.post("/add_researcher_to_study")
@requires(Capability.RELATION_ADD)
def add_to_study() -> ResponseReturnValue:
    """Gives somebody a role in the study; a role that is there already stays as it is."""
    target = person_in_form()
    if g.study.id in rights_over(target).target.roles:
        flash(f"{target.username} has a role in {g.study.name} already. Nothing was changed.", "warn")
        return _back(target)
    return _give(target, role_in_form(), "add")


@researchers.post("/set_researcher_role")
@requires(Capability.RELATION_REMOVE)
def change_role() -> ResponseReturnValue:
    """Changes somebody's role in the study, and its last day."""
    return _give(person_in_form(), role_in_form(), f"role-{request.form.get('researcher_id')}-{g.study.id}")


@researchers.post("/elevate_researcher", endpoint="elevate")
@requires(Capability.RELATION_ELEVATE)
def make_study_admin() -> ResponseReturnValue:
    """Makes somebody with a role in the study its administrator."""
    target = person_in_form()
    carried_out(lambda: elevate(db.session(), g.researcher, target, g.study))
    flash(f"{target.username} is administrator of {g.study.name}.", "good")
    return _back(target)


@researchers.post("/demote_researcher", endpoint="demote")
@requires(Capability.RELATION_DEMOTE)
def make_plain() -> ResponseReturnValue:
    """Makes an administrator of the study a researcher of it."""
    target = person_in_form()
    carried_out(lambda: demote(db.session(), g.researcher, target, g.study))
    flash(f"{target.username} is researcher of {g.study.name}.", "good")
    return _back(target)


@researchers.post("/remove_researcher_from_study")
@requires(Capability.RELATION_REMOVE)
def remove_from_study() -> ResponseReturnValue:
    """Removes somebody's role in the study."""
    target = person_in_form()
    carried_out(lambda: remove_role(db.session(), g.researcher, target, g.study))
    flash(f"{target.username} has no role in {g.study.name} any more.", "good")
    return _back(target)


def _give(target: Researcher, role: Role, at: str) -> ResponseReturnValue:
    try:
        ends_on = last_day_in_form(g.study)
    except RoleRefused as refused:
        refusal = Refusal(at, {"ends_on": str(refused)}, request.form.to_dict())
        return team_page(refusal) if _is_from_team() else person_page(target, refusal)
    carried_out(lambda: give_role(db.session(), g.researcher, target, g.study, role, ends_on=ends_on))
    until = f" until {ends_on.day} {ends_on:%B %Y}" if ends_on else ""
    flash(f"{target.username} is {ROLE_NAMES[role].lower()} of {g.study.name}{until}.", "good")
    return _back(target)


def _back(target: Researcher) -> ResponseReturnValue:
    """Back to the page that the form was on; to the list, where the person may no longer be seen."""
    if _is_from_team():
        return redirect(url_for("researchers.team", study_number=g.study.id))
    if rights_over(target).may(Act.OPEN):
        return redirect(url_for("researchers.edit", researcher_number=target.id))
    return redirect(url_for("researchers.list"))


def _is_from_team() -> bool:
    return request.form.get("from") == "team"
