"""The codebook of a survey, and its answers as a file; both are in the log of data access (CLAR-55, CLAR-56)."""

import io
import re
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import sqlalchemy as sa
from flask import Response, g, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from core.access import Capability
from core.answers.codebook import codebook as codebook_of
from core.answers.codebook import score_variables
from core.answers.overview import submission_figures
from core.audit import actor_of
from core.audit.access_log import end_access, record_access
from core.database import db
from core.limits import limit_session
from core.models import AccessKind, Participant, Survey
from core.streams import DataStream
from webapp.portal.access.rules import requires
from webapp.portal.answers import wording
from webapp.portal.answers.choice import Choice, read_choice
from webapp.portal.answers.section import answers
from webapp.portal.answers.survey import OF, the_survey

# Of core.answers.exporting, which is imported when it is used: its libraries are large.
FORMS = {
    "csv": ("CSV", "text/csv"),
    "xlsx": ("Excel (XLSX)", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "parquet": ("Parquet", "application/vnd.apache.parquet"),
    "sav": ("SPSS", "application/octet-stream"),
    "dta": ("Stata", "application/octet-stream"),
}
LAYOUTS = {"wide": "Wide: a row for each submission", "long": "Long: a row for each answer"}
PIECE_BYTES = 1 << 18
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
    answer.headers.set("Content-Disposition", "attachment", filename=_file_name(survey, "codebook", "csv"))
    return answer


@answers.get(f"{OF}/export")
@requires(Capability.EXPORT_CREATE)
def export(study_number: int, survey_number: int) -> ResponseReturnValue:
    """The form: layout, form of file, days, and whether typed texts and test participants are in it."""
    return _page(the_survey(survey_number), read_choice(request.args, g.study.zone, g.now))


@answers.post(f"{OF}/export")
@requires(Capability.EXPORT_CREATE)
def make_export(study_number: int, survey_number: int) -> ResponseReturnValue:
    """Writes the file, then sends it in pieces and removes it."""
    from core.answers.exporting import ExportRefused, Form, Layout, export_answers
    from core.answers.exporting.rows import Wanted

    survey = the_survey(survey_number)
    choice = read_choice(request.form, g.study.zone, g.now)
    form, layout = request.form.get("form", ""), request.form.get("layout", "")
    problems = {} if form in FORMS else {"form": "Choose a form of file."}
    problems |= {} if layout in LAYOUTS else {"layout": "Choose a layout."}
    if problems or choice.problems:
        return _page(survey, choice, problems)
    with_texts = "texts" in request.form
    wanted = Wanted(survey.id, choice.since, choice.until, None, choice.with_test, with_texts)
    number = _record(survey, choice, {"form": form, "layout": layout, "texts": with_texts})
    db.session.commit()
    folder = Path(mkdtemp(prefix="beiwe-export-"))
    path = folder / f"answers.{form}"
    try:
        with Session(db.engine) as session:  # its objects are let go of while rows are written
            limit_session(session, g.actor.limits)
            export_answers(session, session.get_one(Survey, survey.id), wanted, Form(form), Layout(layout), path)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        end_access(db.session(), number, 0, type(error).__name__)
        db.session.commit()
        if isinstance(error, ExportRefused):
            return _page(survey, choice, {"form": str(error)})
        raise
    answer = Response(_pieces(db.engine, path, number), content_type=FORMS[form][1])
    answer.content_length = path.stat().st_size
    answer.headers.set("Content-Disposition", "attachment", filename=_file_name(survey, layout, form))
    return answer


def _pieces(engine: sa.Engine, path: Path, access_number: int) -> Iterator[bytes]:
    """The file in pieces; its folder is removed at the end, also where the client goes away, and the log says so."""
    sent, error = 0, None
    try:
        with path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                sent += len(piece)
                yield piece
    except BaseException as broken:
        error = type(broken).__name__
        raise
    finally:
        shutil.rmtree(path.parent, ignore_errors=True)
        with Session(engine) as session:
            end_access(session, access_number, sent, error)
            session.commit()


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
