"""The codebook of a survey, and its answers as a file; both are in the log of data access (CLAR-55, CLAR-56)."""

import io
import re
import shutil
from datetime import datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import sqlalchemy as sa
from flask import Response, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.answers.codebook import codebook as codebook_of
from core.answers.codebook import score_variables
from core.answers.overview import submission_figures
from core.audit import actor_of
from core.audit.access_log import end_access, record_access
from core.database import db
from core.exports.asking import ExportRefused, ask_for_export
from core.exports.choice import ExportChoice
from core.models import AccessKind, ExportKind, Participant, Survey
from core.streams import DataStream
from webapp.attachments import attach
from webapp.flow_runs import BUILD_EXPORTS, start_run
from webapp.portal.access.rules import requires
from webapp.portal.answers import wording
from webapp.portal.answers.choice import Choice, read_choice
from webapp.portal.answers.section import answers
from webapp.portal.answers.survey import OF, the_survey

# Of core.answers.exporting, which is imported when it is used: its libraries are large.
FORMS = {"csv": "CSV", "xlsx": "Excel (XLSX)", "parquet": "Parquet", "sav": "SPSS", "dta": "Stata"}
LAYOUTS = {"wide": "Wide: a row for each submission", "long": "Long: a row for each answer"}
_UNSAFE = re.compile(r"[^\w .-]+")


@answers.get(f"{OF}/codebook")
@requires(Capability.ANSWERS_READ)
def codebook(study_number: int, survey_number: int) -> ResponseReturnValue:
    """What each variable of an export is: its question, codes, versions, and how often it was answered."""
    survey, session = the_survey(survey_number), db.session()
    return render_template(
        "portal/answers/codebook.html",
        survey=survey,
        book=codebook_of(session, survey.id),
        scores=score_variables(session, survey.id),
        wording=wording,
    )


@answers.get(f"{OF}/codebook.csv")
@requires(Capability.EXPORT_CREATE)
def codebook_file(study_number: int, survey_number: int) -> ResponseReturnValue:
    """The codebook of the wide layout, with the variables of typed texts."""
    from core.answers.exporting.columns import Layout, columns_of
    from core.answers.exporting.export import codebook_table
    from core.answers.exporting.writers import write_table_csv

    survey, session = the_survey(survey_number), db.session()
    book = codebook_of(session, survey.id)
    columns = columns_of(Layout.WIDE, book, score_variables(session, survey.id), with_texts=True)
    folder = Path(mkdtemp(prefix="beiwe-export-"))
    try:
        path = folder / "codebook.csv"
        write_table_csv(path, codebook_table(book, columns))
        contents = path.read_bytes()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    number = _record(survey, read_choice({}, g.study.zone, g.now), {"codebook": True})
    end_access(session, number, len(contents))
    session.commit()
    answer = Response(io.BytesIO(contents), content_type="text/csv; charset=utf-8")
    attach(answer, _file_name(survey, "codebook", "csv"))
    return answer


@answers.get(f"{OF}/export")
@requires(Capability.EXPORT_CREATE)
def export(study_number: int, survey_number: int) -> ResponseReturnValue:
    """The form: layout, form of file, days, and whether typed texts and test participants are in it."""
    return _page(the_survey(survey_number), read_choice(request.args, g.study.zone, g.now))


@answers.post(f"{OF}/export")
@requires(Capability.EXPORT_CREATE)
def make_export(study_number: int, survey_number: int) -> ResponseReturnValue:
    """Queues the export, and leads to the list of exports, which shows its progress and then its file (CLAR-74)."""
    survey = the_survey(survey_number)
    choice = read_choice(request.form, g.study.zone, g.now)
    form, layout = request.form.get("form", ""), request.form.get("layout", "")
    problems = {} if form in FORMS else {"form": "Choose a form of file."}
    problems |= {} if layout in LAYOUTS else {"layout": "Choose a layout."}
    if problems or choice.problems:
        return _page(survey, choice, problems)
    wanted = ExportChoice(
        survey_id=survey.id,
        layout="long" if layout == "long" else "wide",
        start_at=choice.since,
        end_at=choice.until,
        with_test=choice.with_test,
        with_texts="texts" in request.form,
    )
    name, actor = _file_name(survey, layout, form), actor_of(g.researcher)
    try:
        ask_for_export(db.session(), g.study, ExportKind.ANSWERS, form, wanted, file_name=name, actor=actor)
    except ExportRefused as error:
        db.session.rollback()
        return _page(survey, choice, {"form": f"Not now: {error}."})
    db.session.commit()
    start_run(BUILD_EXPORTS)
    return redirect(url_for("downloads.exports", study_number=study_number))


def _record(survey: Survey, choice: Choice, chosen: dict[str, Any]) -> int:
    """Who fetches what, before its first byte; `participants` counts those of the study whom the person may see."""
    session = db.session()
    query = sa.select(sa.func.count()).select_from(Participant).where(Participant.study_id == g.study.id)
    if not choice.with_test:
        query = query.where(Participant.is_test.is_(False))
    days = {name: [day.isoformat()] for name in ("first", "last") if (day := getattr(choice, name))}
    return record_access(
        session,
        actor_of(g.researcher),
        AccessKind.ANSWERS,
        g.study,
        participants=session.scalar(query),
        streams=[DataStream.SURVEY_ANSWERS.value],
        parameters={"survey": survey.object_id, "tests": choice.with_test, **days, **chosen},
    )


def _page(survey: Survey, choice: Choice, problems: dict[str, str] | None = None) -> ResponseReturnValue:
    page = render_template(
        "portal/answers/export.html",
        survey=survey,
        choice=choice,
        problems=problems or {},
        forms=FORMS,
        layouts=LAYOUTS,
        figures=submission_figures(db.session(), survey.id),
        typed=request.form,
    )
    return page, 422 if problems or choice.problems else 200


def _file_name(survey: Survey, what: str, ending: str) -> str:
    today: datetime = g.now.astimezone(g.study.zone)
    name = _UNSAFE.sub(" ", survey.name or "Survey").strip()[:60] or "Survey"
    return f"{name} {what} {today:%Y-%m-%d}.{ending}"
