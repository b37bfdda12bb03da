"""The team of a study: who has which right in it, and through what."""

from flask import flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.accounts.acting import give_role
from core.accounts.roles import RoleRefused
from core.accounts.rules.acting import Act
from core.accounts.team import account_named, site_admins, team_of
from core.database import db
from webapp.portal.access.rules import requires
from webapp.portal.frame.navigation import can
from webapp.portal.researchers.asking import (
    Refusal,
    carried_out,
    last_day_in_form,
    rights_over,
    rights_over_all,
    role_in_form,
)
from webapp.portal.researchers.section import researchers

TEAM = "/view_study/<number:study_number>/team"
NOT_HERE = "No account of that name can be added here. Invite the person, or ask a site administrator."


@researchers.get(TEAM)
@requires(Capability.STUDY_VIEW, is_return_page=True)
def team(study_number: int) -> ResponseReturnValue:
    """The people of the study, with what its administrators may change."""
    return team_page()


@researchers.post(TEAM, endpoint="add_to_team")
@requires(Capability.RELATION_ADD)
def add_by_name(study_number: int) -> ResponseReturnValue:
    """Gives a role to the account of a name. The answer does not tell whether there is one that is out of reach."""
    typed = request.form.get("username", "").strip()
    found = account_named(db.session(), typed)
    role = role_in_form()
    if found is None:
        return team_page(_refusal("username", NOT_HERE))
    rights = rights_over(found)
    if study_number in rights.target.roles:
        return team_page(_refusal("username", "This person has a role in the study already. Change it in the list."))
    if not rights.may(Act.ADD, study_number):
        return team_page(_refusal("username", NOT_HERE))
    try:
        ends_on = last_day_in_form(g.study)
    except RoleRefused as refused:
        return team_page(_refusal("ends_on", str(refused)))
    carried_out(lambda: give_role(db.session(), g.researcher, found, g.study, role, ends_on=ends_on))
    flash(f"{found.username} was added.", "good")
    return redirect(url_for("researchers.team", study_number=study_number))


def team_page(refusal: Refusal | None = None) -> ResponseReturnValue:
    """The page; with a refusal, the form that it is about says what is wrong (422)."""
    members = team_of(db.session(), g.study)
    may_change = can(Capability.RELATION_ADD)
    rights = rights_over_all([member.researcher for member in members]) if may_change else {}
    page = render_template(
        "portal/researchers/team.html",
        members=members,
        rights=rights,
        site_admins=site_admins(db.session()),
        may_change=may_change,
        refusal=refusal,
        Act=Act,
    )
    return page, 422 if refusal else 200


def _refusal(field: str, problem: str) -> Refusal:
    return Refusal("add", {field: problem}, request.form.to_dict())
