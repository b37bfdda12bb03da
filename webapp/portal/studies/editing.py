"""Editing a study: name, zone, end, stop, hide, easy enrolment, security (PORTAL-90 to PORTAL-98).

What each change does is said before it is done. The addresses are the existing platform's.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.accounts import interrupted_by
from core.accounts.requirements import without_second_factor
from core.audit import Actor, actor_of
from core.database import db
from core.models import Participant
from core.models.study import SecondFactorFor
from core.studies import StudyRefused
from core.studies.changing import (
    hide_study,
    parsed_end_date,
    rename_study,
    reopen_study,
    set_easy_enrollment,
    set_end_date,
    set_forest,
    set_security,
    set_timezone,
    stop_study,
)
from core.studies.figures import study_figures
from core.studies.zones import zones_by_offset
from core.surveys.planned import planned_events
from core.zones import known_zones
from webapp.flow_runs import REBUILD_SCHEDULES, start_run
from webapp.portal.access.confirming import identity_problem
from webapp.portal.access.rules import requires
from webapp.portal.frame.pages import wanted_switch
from webapp.portal.studies.section import studies
from webapp.portal.studies.views import hidden_study_page

NUMBER = "<number:study_number>"


@studies.get(f"/edit_study/{NUMBER}")
@requires(Capability.STUDY_RENAME, is_return_page=True, shows_hidden=True)
def edit(study_number: int) -> ResponseReturnValue:
    """The page of everything that can be changed in a study; of a hidden one, its facts and how to bring it back."""
    return hidden_study_page() if g.study.hidden_at else _page()


@studies.post(f"/rename_study/{NUMBER}")
@requires(Capability.STUDY_RENAME)
def rename(study_number: int) -> ResponseReturnValue:
    """Gives the study another name."""
    typed = request.form.get("new_study_name", "")
    return _change(
        "The study was renamed.", lambda: rename_study(db.session(), g.study, typed, actor=_me()), "name", typed
    )


@studies.post(f"/set_study_timezone/{NUMBER}")
@requires(Capability.STUDY_TIMEZONE)
def change_zone(study_number: int) -> ResponseReturnValue:
    """Says how many events move, and moves the study to another zone once that was confirmed (PORTAL-95)."""
    typed = request.form.get("new_timezone_name", "")
    if request.form.get("confirmed") != typed and typed in known_zones():
        return _page(at="zone", typed=typed, moved=planned_events(db.session(), study_number, g.now))
    change = partial(set_timezone, db.session(), g.study, typed, g.now, actor=_me())
    return _change("The time zone was changed.", change, "zone", typed)


@studies.post(f"/update_end_date/{NUMBER}")
@requires(Capability.STUDY_END_DATE)
def change_end(study_number: int) -> ResponseReturnValue:
    """Sets or removes the last day that counts; a form without the field removes nothing (PORTAL-91)."""
    if "end_date" not in request.form:
        return _page("Give a date, or leave the field empty for no end.", "end", str(g.study.end_on or ""))
    typed = request.form["end_date"]

    def change() -> bool:
        return set_end_date(db.session(), g.study, parsed_end_date(typed), g.now, actor=_me())

    return _change("The end date was set." if typed.strip() else "The end date was removed.", change, "end", typed)


@studies.post(f"/toggle_end_study/{NUMBER}")
@requires(Capability.STUDY_STOP)
def toggle_stop(study_number: int) -> ResponseReturnValue:
    """Stops the study once its name was typed, or reopens it; not after its end date (PORTAL-90, CLAR-12).

    The field `wanted` is `on` to stop it and `off` to reopen it.
    """
    if g.study.is_over(g.now):
        return _page("The end date has passed. Change it first.", "stop")
    if not wanted_switch(g.study.is_stopped_by_hand):
        reopen = partial(reopen_study, db.session(), g.study, g.now, actor=_me())
        return _change("The study was reopened.", reopen, "stop")
    if request.form.get("typed_name", "").strip() != g.study.name:
        return _page("Type the name of the study to stop it.", "stop")
    text = "The study is stopped. What phones send in the next ten minutes is kept in case you reopen it."
    return _change(text, lambda: stop_study(db.session(), g.study, g.now, actor=_me()), "stop")


@studies.post(f"/hide_study/{NUMBER}")
@requires(Capability.STUDY_HIDE)
def hide(study_number: int) -> ResponseReturnValue:
    """Takes the study out of every list, once its name and one's own password were typed (PORTAL-92)."""
    if request.form.get("typed_name", "").strip() != g.study.name:
        return _page("Type the name of the study to hide it.", "hide")
    if problem := identity_problem(request.form.get("password", "")):
        return _page(problem, "hide")
    waits = hide_study(db.session(), g.study, g.now, actor=_me())
    db.session.commit()
    _bring_events_into_step(waits)
    flash(f"{g.study.name} is hidden. A site administrator can bring it back from the list of studies.", "good")
    return redirect(url_for("studies.choose"))


@studies.post(f"/toggle_easy_enrollment_study/{NUMBER}")
@requires(Capability.STUDY_EASY_ENROLLMENT)
def toggle_easy(study_number: int) -> ResponseReturnValue:
    """Turns easy enrolment of the study on or off (PORTAL-94)."""
    is_on = wanted_switch(g.study.has_easy_enrollment)
    text = "Easy enrolment is on: phones register with any password." if is_on else "Easy enrolment is off."
    return _change(text, lambda: set_easy_enrollment(db.session(), g.study, is_on, actor=_me()), "easy")


@studies.post(f"/toggle_study_forest_enabled/{NUMBER}")
@requires(Capability.STUDY_FOREST_SWITCH)
def toggle_forest(study_number: int) -> ResponseReturnValue:
    """Turns Forest on or off: its pages, and its tasks (PERM-52)."""
    is_on = wanted_switch(g.study.has_forest)
    text = f"Forest is {'on' if is_on else 'off'} in {g.study.name}."
    return _change(text, lambda: set_forest(db.session(), g.study, is_on, actor=_me()), "forest")


@studies.get(f"/edit_study_security/{NUMBER}")
@requires(Capability.STUDY_SECURITY)
def security(study_number: int) -> ResponseReturnValue:
    """The rules for passwords of the study's researchers."""
    return _security()


@studies.post(f"/change_study_security_settings/{NUMBER}")
@requires(Capability.STUDY_SECURITY)
def change_security(study_number: int) -> ResponseReturnValue:
    """Saves all rules, or none; says first how many researchers that interrupts (PORTAL-98)."""
    form = request.form
    length, has_limit, age, factor = (
        form.get("password_minimum_length", ""),
        form.get("password_max_age_enabled") == "true",
        form.get("password_max_age_days", ""),
        form.get("second_factor_for", "everybody" if form.get("mfa_required") == "true" else "nobody"),
    )
    typed = {"length": length, "has_limit": has_limit, "age": age, "factor": factor}
    if not (length.isascii() and length.isdecimal() and len(length) < 4):
        return _security("A number from 8 to 20.", "length", typed)
    if has_limit and not (age.isascii() and age.isdecimal() and len(age) < 4):
        return _security("A number from 30 to 365.", "age", typed)
    if factor not in set(SecondFactorFor):
        return _security("Choose one of the three.", "factor", typed)
    passwords = int(length), int(age) if has_limit else None
    rules = *passwords, SecondFactorFor(factor)
    chosen = f"{passwords[0]} {passwords[1]} {factor}"
    try:
        changed = set_security(db.session(), g.study, *rules, actor=_me())
        if form.get("confirmed") != chosen:
            db.session.rollback()
            interrupted = (
                *interrupted_by(db.session(), g.study, *passwords, g.now),
                without_second_factor(db.session(), g.study, rules[2]),
            )
            if any(interrupted):
                return _security(typed=typed, interrupted=interrupted, chosen=chosen)
            set_security(db.session(), g.study, *rules, actor=_me())
        db.session.commit()
    except StudyRefused as refused:
        db.session.rollback()
        return _security(str(refused), "length" if "characters" in str(refused) else "age", typed)
    for text in changed or ["Nothing changed."]:
        flash(text, "good")
    return redirect(url_for("studies.edit", study_number=study_number))


def _security(
    problem: str = "", at: str = "", typed: dict[str, Any] | None = None, **values: Any
) -> ResponseReturnValue:
    study = g.study
    age = study.password_max_age_days
    typed = typed or {
        "length": study.password_minimum_length,
        "has_limit": age is not None,
        "age": age or 365,
        "factor": study.second_factor_for,
    }
    page = render_template("portal/studies/security.html", problem=problem, at=at, typed=typed, **values)
    return page, 422 if problem else 200


def _change(text: str, change: Callable[[], bool | None], at: str, typed: str = "") -> ResponseReturnValue:
    """Makes the change of core, commits, and says so; a refusal is shown beside its form, and nothing changes."""
    try:
        waits = change()
        db.session.commit()
    except StudyRefused as refused:
        db.session.rollback()
        return _page(str(refused), at, typed)
    flash(text, "good")
    _bring_events_into_step(bool(waits))
    return redirect(url_for("studies.edit", study_number=g.study.id))


def _page(problem: str = "", at: str = "", typed: str = "", moved: int | None = None) -> ResponseReturnValue:
    own_switch = db.session.scalars(
        db.select(Participant.patient_id)
        .where(Participant.study_id == g.study.id, Participant.has_easy_enrollment)
        .order_by(Participant.patient_id)
        .limit(20)
    ).all()
    page = render_template(
        "portal/studies/edit.html",
        figures=study_figures(db.session(), g.study.id, g.now),
        zones=zones_by_offset(g.now.year),
        own_switch=own_switch,
        problem=problem,
        at=at,
        typed=typed,
        moved=moved,
    )
    return page, 422 if problem else 200


def _bring_events_into_step(waits: bool) -> None:
    if waits and not start_run(REBUILD_SCHEDULES, only_asked=True):
        flash("No Prefect server took the rebuild of events. It begins by itself when one is there again.", "warn")


def _me() -> Actor:
    return actor_of(g.researcher)
