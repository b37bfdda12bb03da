"""The pages of the logs: for a study, and for the site (PORTAL-290, CLAR-20).

Both have the same tabs and templates. The pages of a study show its rows, in its zone; those of the site show all rows,
in UTC.
"""

from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from flask import abort, g, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import reading
from core.audit.naming import names_of
from core.audit.paging import Page, Place
from core.audit.reading import AccessFilter, ChangeFilter, SignInFilter
from core.database import db
from core.models import AuditRecord, Study
from webapp.portal.access.rules import requires
from webapp.portal.audit import wording
from webapp.portal.audit.files import (
    ACCESS_COLUMNS,
    CHANGE_COLUMNS,
    SIGN_IN_COLUMNS,
    access_line,
    change_line,
    log_file,
    sign_in_line,
)
from webapp.portal.audit.forms import (
    AccessForm,
    ChangesForm,
    LogForm,
    SignInsForm,
    WithParticipant,
    chosen,
    whole_number,
)
from webapp.portal.audit.section import audit
from webapp.portal.frame import audit_words
from webapp.portal.frame.sign_in_words import OUTCOMES, outcome_in_words

PATH = "/view_study/<number:study_number>/audit"
NOTHING: Page[Any] = Page([], None, None)
UTC = ZoneInfo("UTC")


@audit.get(PATH)
@requires(Capability.AUDIT_STUDY, is_return_page=True)
def study_changes(study_number: int) -> ResponseReturnValue:
    """The study's audit trail."""
    return _changes_page(g.study)


@audit.get(f"{PATH}/changes.csv")
@requires(Capability.AUDIT_STUDY)
def study_changes_file(study_number: int) -> ResponseReturnValue:
    """What the filter of the audit trail asks for, as a file."""
    return _changes_file(g.study)


@audit.get(f"{PATH}/access")
@requires(Capability.AUDIT_STUDY, is_return_page=True)
def study_access(study_number: int) -> ResponseReturnValue:
    """Who read the study's data."""
    return _access_page(g.study)


@audit.get(f"{PATH}/access.csv")
@requires(Capability.AUDIT_STUDY)
def study_access_file(study_number: int) -> ResponseReturnValue:
    """What the filter of the log of data access asks for, as a file."""
    return _access_file(g.study)


@audit.get("/audit")
@requires(Capability.AUDIT_ALL, is_return_page=True)
def site_changes() -> ResponseReturnValue:
    """The audit trail of the site with all its studies."""
    return _changes_page(None)


@audit.get("/audit/changes.csv")
@requires(Capability.AUDIT_ALL)
def site_changes_file() -> ResponseReturnValue:
    """What the filter of the audit trail asks for, as a file."""
    return _changes_file(None)


@audit.get("/audit/access")
@requires(Capability.AUDIT_ALL, is_return_page=True)
def site_access() -> ResponseReturnValue:
    """Who read data of any study."""
    return _access_page(None)


@audit.get("/audit/access.csv")
@requires(Capability.AUDIT_ALL)
def site_access_file() -> ResponseReturnValue:
    """What the filter of the log of data access asks for, as a file."""
    return _access_file(None)


@audit.get("/audit/sign_ins")
@requires(Capability.AUDIT_ALL, is_return_page=True)
def site_sign_ins() -> ResponseReturnValue:
    """Who signed in and out, and who was refused."""
    form = SignInsForm.asked(reading.people_of_sign_ins(db.session()))
    outcomes = [(outcome.value, words) for outcome, (words, _) in OUTCOMES.items()]
    chosen(form.outcome, [("", "Every outcome"), *outcomes])
    page = reading.sign_ins(db.session(), _sign_in_filter(form), _place()) if form.is_right else NOTHING
    return _page("sign_ins", None, form, page)


@audit.get("/audit/sign_ins.csv")
@requires(Capability.AUDIT_ALL)
def site_sign_ins_file() -> ResponseReturnValue:
    """What the filter of the log of sign-ins asks for, as a file."""
    asked = _sign_in_filter(_right(SignInsForm.asked([])))
    return log_file(
        "sign-ins.csv", SIGN_IN_COLUMNS, lambda session: reading.all_sign_ins(session, asked), sign_in_line, None
    )


def _changes_page(study: Study | None) -> ResponseReturnValue:
    of = study or _study_asked_for()
    form = ChangesForm.asked(reading.people_of_changes(db.session(), of))
    actions = audit_words.actions_by_subject(has_site=study is None)
    form.action.choices = [("", "Everything"), *(choice for choices in actions.values() for choice in choices)]
    page = reading.changes(db.session(), of, _change_filter(form, study), _place()) if form.is_right else NOTHING
    whole = _whole(of, form.asked_part_of)
    named = names_of(db.session(), [*page.rows, *([whole] if whole else [])])
    return _page("changes", study, form, page, actions=actions, names=named, whole=whole, words=audit_words)


def _changes_file(study: Study | None) -> ResponseReturnValue:
    of, form = study or _study_asked_for(), _right(ChangesForm.asked([]))
    asked = _change_filter(form, study)
    return log_file(
        _file_name("audit trail", of),
        CHANGE_COLUMNS,
        lambda session: reading.all_changes(session, of, asked),
        change_line,
        of,
    )


def _access_page(study: Study | None) -> ResponseReturnValue:
    of = study or _study_asked_for()
    form = AccessForm.asked(reading.people_of_accesses(db.session(), of))
    page = reading.accesses(db.session(), of, _access_filter(form, study), _place()) if form.is_right else NOTHING
    return _page("access", study, form, page)


def _access_file(study: Study | None) -> ResponseReturnValue:
    of, form = study or _study_asked_for(), _right(AccessForm.asked([]))
    asked = _access_filter(form, study)
    return log_file(
        _file_name("data access", of),
        ACCESS_COLUMNS,
        lambda session: reading.all_accesses(session, of, asked),
        access_line,
        of,
    )


def _page(tab: str, study: Study | None, form: LogForm, page: Page[Any], **values: Any) -> ResponseReturnValue:
    """The page of a tab. `address(tab)` gives the addresses of tabs, files and pages, with the filters that are set."""
    scope = "study" if study else "site"
    place: dict[str, Any] = {"study_number": study.id} if study else {}
    if study is None and isinstance(form, WithParticipant):
        studies = db.session.execute(sa.select(Study.id, Study.name).order_by(sa.func.lower(Study.name), Study.id))
        chosen(form.study, [("", "All studies"), *((str(number), name) for number, name in studies)])

    def address(name: str, **more: Any) -> str:
        return url_for(f"audit.{scope}_{name}", **place, **more)

    return render_template(
        f"portal/audit/{tab}.html",
        tab=tab,
        form=form,
        page=page,
        address=address,
        arguments=form.arguments(),
        is_first=not (request.args.get("before") or request.args.get("after")),
        wording=wording,
        outcome_in_words=outcome_in_words,
        **values,
    ), (200 if form.is_right else 422)


def _change_filter(form: ChangesForm, study: Study | None) -> ChangeFilter:
    return ChangeFilter(
        person=form.person.data or None,
        action=form.asked_action,
        patient_id=form.patient_id,
        part_of=form.asked_part_of,
        period=form.period(_zone(study)),
    )


def _access_filter(form: AccessForm, study: Study | None) -> AccessFilter:
    return AccessFilter(form.person.data or None, form.patient_id, form.period(_zone(study)))


def _sign_in_filter(form: SignInsForm) -> SignInFilter:
    return SignInFilter(form.person.data or None, form.asked_outcome, form.period(UTC))


def _right(form: Any) -> Any:
    """The form of a file. Aborts with 400 if a filter cannot be read: the file would hold more than was asked for."""
    return form if form.is_right else abort(400)


def _place() -> Place:
    return Place(whole_number(request.args.get("before")), whole_number(request.args.get("after")))


def _study_asked_for() -> Study | None:
    """The study that the site's page is filtered by; hidden ones too."""
    number = whole_number(request.args.get("study"))
    return db.session.get(Study, number) if number else None


def _whole(study: Study | None, row_id: int | None) -> AuditRecord | None:
    """The row of the change of many participants that the page shows one by one."""
    row = db.session.get(AuditRecord, row_id) if row_id else None
    return row if row and (study is None or row.study_object_id == study.object_id) else None


def _zone(study: Study | None) -> ZoneInfo:
    return study.zone if study else UTC


def _file_name(what: str, study: Study | None) -> str:
    return f"{what} - {study.name}.csv" if study else f"{what}.csv"
