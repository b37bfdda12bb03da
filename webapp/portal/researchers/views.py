"""The list of researchers, a researcher's page, and inviting somebody (PORTAL-190 to PORTAL-192)."""

from flask import abort, g, render_template, request
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.accounts.acting import ActRefused, NameTaken, invite
from core.accounts.links import newest_link
from core.accounts.people import administered_studies, listed_people, people, roles_of, state_of
from core.accounts.roles import RoleRefused
from core.accounts.rules.acting import Act
from core.accounts.team import studies_without_admin
from core.database import db
from core.models import Researcher, Study
from webapp.portal.access.rules import requires
from webapp.portal.access.second_factor import has_second_factor
from webapp.portal.frame.pages import page_or_fragment
from webapp.portal.researchers.asking import (
    LONGEST_NUMBER,
    Refusal,
    last_day_in_form,
    rights_over,
    role_in_form,
    the_person,
)
from webapp.portal.researchers.secrets import show_link
from webapp.portal.researchers.section import researchers


@researchers.get("/manage_researchers", endpoint="list")
@requires(Capability.RESEARCHER_LIST, is_return_page=True)
def researcher_list() -> ResponseReturnValue:
    """The people whom the person may see; filtered by a part of a name or of a study's name."""
    search = request.args.get("search", "").strip()[:100]
    me = people(db.session(), [g.researcher])[g.researcher.id]
    return page_or_fragment(
        "portal/researchers/list.html",
        "portal/researchers/_people.html",
        page_values=lambda: {"without_admin": studies_without_admin(db.session()) if me.is_site_admin else []},
        lines=listed_people(db.session(), me, search),
        search=search,
    )


@researchers.get("/edit_researcher/<number:researcher_number>")
@requires(Capability.RESEARCHER_LIST, is_return_page=True)
def edit(researcher_number: int) -> ResponseReturnValue:
    """A researcher's page: roles in the studies of the reader, password, account."""
    return person_page(the_person(researcher_number))


@researchers.get("/create_new_researcher")
@requires(Capability.RESEARCHER_CREATE)
def create() -> ResponseReturnValue:
    """The form that invites somebody."""
    return _create()


@researchers.post("/create_new_researcher", endpoint="invite")
@requires(Capability.RESEARCHER_CREATE)
def send_invitation() -> ResponseReturnValue:
    """Adds an account, with a role in a study if one is chosen, and shows the link that invites the person."""
    username = request.form.get("admin_id", "").strip()
    study, role = _chosen_study(), role_in_form()
    problems = {}
    try:
        ends_on = last_day_in_form(study) if study else None
        researcher, token = invite(db.session(), g.researcher, username, g.now, study=study, role=role, ends_on=ends_on)
        db.session.commit()
        return show_link(researcher, token)
    except RoleRefused as refused:
        problems["ends_on"] = str(refused)
    except ActRefused as refused:
        problems["study_id"] = str(refused)
    except (NameTaken, ValueError) as refused:
        problems["admin_id"] = str(refused)
    db.session.rollback()
    return _create(Refusal("new", problems, request.form.to_dict()))


def person_page(target: Researcher, refusal: Refusal | None = None) -> ResponseReturnValue:
    """The researcher's page; with a refusal, the form that it is about says what is wrong (422)."""
    rights = rights_over(target)
    roles = roles_of(db.session(), rights.me, target)
    current = {line.study_id for line in roles if not line.has_ended}
    addable = [
        study
        for study in administered_studies(db.session(), rights.me)
        if study.id not in current and rights.may(Act.ADD, study.id)
    ]
    may_reset = rights.may(Act.SET_PASSWORD)
    page = render_template(
        "portal/researchers/edit.html",
        target=target,
        state=state_of(target),
        rights=rights,
        roles=roles,
        addable=addable,
        link=newest_link(db.session(), target, g.now) if may_reset else None,
        has_factor=has_second_factor(g.researcher),
        target_has_factor=has_second_factor(target),
        refusal=refusal,
        Act=Act,
    )
    return page, 422 if refusal else 200


def _create(refusal: Refusal | None = None) -> ResponseReturnValue:
    me = people(db.session(), [g.researcher])[g.researcher.id]
    page = render_template(
        "portal/researchers/create.html",
        studies=administered_studies(db.session(), me),
        must_choose=not me.is_site_admin,
        chosen=(refusal.typed if refusal else request.args).get("study_id", ""),
        refusal=refusal,
    )
    return page, 422 if refusal else 200


def _chosen_study() -> Study | None:
    """The study that the form names, if the person manages its people; None where none is named. Aborts with 404."""
    number = request.form.get("study_id", "")
    if not number:
        return None
    if not (number.isascii() and number.isdecimal() and len(number) <= LONGEST_NUMBER):
        abort(404, "There is no such study.")
    me = people(db.session(), [g.researcher])[g.researcher.id]
    managed = {study.id: study for study in administered_studies(db.session(), me)}
    if study := managed.get(int(number)):
        return study
    unknown = db.session.get(Study, int(number))
    return abort(403 if unknown and unknown.hidden_at is None else 404, "You manage nobody in such a study.")
