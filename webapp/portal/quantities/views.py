"""Pages of data quantities: a study by stream, a stream by participant, a participant by stream (PORTAL-220 to 226)."""

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Any

from flask import Response, abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.audit import actor_of
from core.audit.access_log import end_access, record_access
from core.database import db
from core.models import AccessKind, Participant
from core.models.daily_statistics import BYTES_OF
from core.models.participant import participant_in_study
from core.participants.table_file import harmless
from core.quantities.days import Days
from core.quantities.defaults import defaults_of, save_defaults
from core.quantities.hours import TooManyDays, add_participant_hours, add_stream_hours, add_study_hours
from core.quantities.marking import Marking, Operator, flags_text, number_text, share_level
from core.quantities.tables import (
    PAGE_ROWS,
    Row,
    Sort,
    StreamQuery,
    StreamTable,
    StreamTotal,
    days_with_data,
    participant_count,
    participant_table,
    stream_table,
    study_table,
)
from core.streams import DataStream
from webapp.attachments import attach
from webapp.portal.access.rules import requires
from webapp.portal.frame.wording import STREAMS
from webapp.portal.quantities.asked import (
    BadDay,
    BadMarking,
    Colours,
    Link,
    Unit,
    asked_colours,
    asked_days,
    asked_marking,
    asked_rows,
    asked_unit,
    check_days,
    saved_marking,
)
from webapp.portal.quantities.section import quantities

STUDY = "/dashboard/<number:study_number>"
STREAM = f"{STUDY}/data_stream/<stream>"
PATIENT = f"{STUDY}/patient/<patient_id>"


@quantities.route(STUDY, methods=["GET", "POST"])
@requires(Capability.STUDY_VIEW, is_return_page=True)
def study(study_number: int) -> ResponseReturnValue:
    """The study's streams by days, with how many participants have any."""
    days = _days(days_with_data(db.session(), g.study))
    totals: list[StreamTotal] = []
    days_problem = ""
    try:
        totals = _totals(days) if days else []
    except TooManyDays as many:
        days_problem = str(many)
    return _render(
        "study.html",
        days=days,
        days_problem=days_problem,
        marking=Marking(has_colour=True),
        rows=[total.row for total in totals],
        totals=totals,
        participants=participant_count(db.session(), g.study),
    )


@quantities.get(STREAM, endpoint="stream")
@requires(Capability.STUDY_VIEW, is_return_page=True)
def stream_page(study_number: int, stream: str) -> ResponseReturnValue:
    """Participants by days for one stream."""
    return _stream_page(_stream(stream))


@quantities.post(STREAM, endpoint="save")
@requires(Capability.STUDY_VIEW, is_return_page=True)
def save(study_number: int, stream: str) -> ResponseReturnValue:
    """Saves colours and flags for everybody who opens this stream's table (PORTAL-225)."""
    of = _stream(stream)
    try:
        marking = saved_marking(request.form)
    except BadMarking as bad:
        return _stream_page(of, problem=str(bad))[0], 400
    save_defaults(db.session(), g.study, of, marking, actor=actor_of(g.researcher))
    db.session.commit()
    flash(f"These colours and flags are shown from now on for {STREAMS[of]}.", "good")
    kept: dict[str, Any] = {name: request.form[name] for name in ("start", "end", "unit") if request.form.get(name)}
    return redirect(url_for("quantities.stream", study_number=study_number, stream=of.value, **kept))


@quantities.route(PATIENT, methods=["GET", "POST"], endpoint="participant")
@requires(Capability.STUDY_VIEW, is_return_page=True)
def participant_page(study_number: int, patient_id: str) -> ResponseReturnValue:
    """Streams by days for one participant."""
    person = _participant(patient_id)
    days = _days(days_with_data(db.session(), g.study, participant=person))
    rows: list[Row] = []
    days_problem = ""
    try:
        rows = _rows_of(person, days, _needs_hours())
    except TooManyDays as many:
        days_problem = str(many)
    before, behind = _neighbours(person)
    return _render(
        "participant.html", days=days, days_problem=days_problem, marking=Marking(has_colour=True), rows=rows,
        person=person, before=before, behind=behind,
    )  # fmt: skip


@quantities.get(f"{STREAM}/table.csv", endpoint="stream_file")
@requires(Capability.STATISTICS_READ)
def stream_file(study_number: int, stream: str) -> ResponseReturnValue:
    """All participants by days for one stream: bytes, or hours with data; an empty cell where there are no data."""
    of = _stream(stream)
    days = _days(days_with_data(db.session(), g.study, stream=of))
    rows: list[Row] = []
    if days:
        asked = asked_rows(request.args)
        query = StreamQuery(asked.search, asked.sort, asked.is_descending, page=None)
        rows = _stream_rows(of, days, query, _is_in_hours()).rows
    return _file("Patient ID", days, rows, of.value, [of], None)


@quantities.get(f"{PATIENT}/table.csv", endpoint="participant_file")
@requires(Capability.STATISTICS_READ)
def participant_file(study_number: int, patient_id: str) -> ResponseReturnValue:
    """Streams by days for one participant, in bytes or in hours with data."""
    person = _participant(patient_id)
    days = _days(days_with_data(db.session(), g.study, participant=person))
    rows = _rows_of(person, days, _is_in_hours())
    return _file("Data stream", days, rows, person.patient_id, list(BYTES_OF), [person.patient_id])


@quantities.errorhandler(TooManyDays)
def no_file(many: TooManyDays) -> ResponseReturnValue:
    """The answer in place of a file that cannot be."""
    return Response(f"{many}\n", 422, content_type="text/plain; charset=utf-8")


def _stream_page(of: DataStream, problem: str = "") -> tuple[str, int]:
    has_data = days_with_data(db.session(), g.study, stream=of)
    days = _days(has_data)
    defaults = defaults_of(db.session(), g.study, of)
    values = request.args if request.method == "GET" else {}
    typed = request.args.getlist("flag") if request.method == "GET" else []
    marking = defaults
    try:
        marking = asked_marking(values, typed, defaults)
    except BadMarking as bad:
        problem = str(bad)
    query = asked_rows(request.args)
    table, days_problem = None, ""
    try:
        table = _stream_rows(of, days, query, _needs_hours()) if days else None
    except TooManyDays as many:
        days_problem = str(many)
    return _render(
        "stream.html",
        days=days,
        days_problem=days_problem,
        marking=marking,
        rows=table.rows if table else [],
        stream=of,
        query=query,
        count=table.count if table else 0,
        pages=-(-table.count // PAGE_ROWS) if table else 0,
        operators=list(Operator),
        problem=problem,
        is_default=marking == defaults,
        defaults=defaults,
        number_text=number_text,
        flags_text=flags_text,
        flag_list=json.dumps([[flag.operator.value, flag.number] for flag in marking.flags]),
    )


def _render(
    template: str, *, days: Days | None, days_problem: str, marking: Marking, rows: Iterable[Row], **values: Any
) -> tuple[str, int]:
    """The page and its status: 422 with a problem of the chosen days, which is told beside them."""
    unit, colours = asked_unit(request.values), asked_colours(request.values)
    link = Link(days, marking, unit, colours, values.get("query"), values.get("defaults", Marking())) if days else None
    cells = [cell for row in rows for cell in row.cells if cell is not None]
    page = render_template(
        f"portal/quantities/{template}",
        days=days,
        days_problem=days_problem,
        marking=marking,
        rows=rows,
        unit=unit,
        units=Unit,
        colours=colours,
        share_level=share_level,
        link=link,
        least=min(cells, default=0),
        most=max(cells, default=0),
        streams=[(stream, STREAMS[stream]) for stream in BYTES_OF],
        names=STREAMS,
        sorts=Sort,
        **values,
    )
    return page, 422 if days_problem else 200


def _is_in_hours() -> bool:
    return asked_unit(request.values) is Unit.HOURS


def _needs_hours() -> bool:
    """Whether the page shows hours with data, in cells or as colours."""
    return _is_in_hours() or asked_colours(request.values) is Colours.EXPECTED


def _totals(days: Days) -> list[StreamTotal]:
    totals = study_table(db.session(), g.study, days)
    return add_study_hours(db.session(), g.study, days, totals) if _needs_hours() else totals


def _stream_rows(of: DataStream, days: Days, query: StreamQuery, needs_hours: bool) -> StreamTable:
    table = stream_table(db.session(), g.study, of, days, query)
    if not needs_hours:
        return table
    return replace(table, rows=add_stream_hours(db.session(), g.study, of, days, table.rows))


def _rows_of(person: Participant, days: Days | None, needs_hours: bool) -> list[Row]:
    rows = participant_table(db.session(), person, days) if days else []
    return add_participant_hours(db.session(), g.study, person, days, rows) if days and needs_hours else rows


def _days(has_data: tuple[date, date] | None) -> Days | None:
    """The days to show, None where there are no data; 400 for days that cannot be read."""
    try:
        check_days(request.values)
        return asked_days(request.values, has_data) if has_data else None
    except BadDay as bad:
        abort(400, str(bad))


def _stream(name: str) -> DataStream:
    if name not in set(DataStream):
        abort(404)
    return DataStream(name)


def _participant(patient_id: str) -> Participant:
    person = participant_in_study(db.session(), g.study.id, patient_id)
    if person is None or person.purged_at is not None:
        abort(404)
    return person


def _neighbours(person: Participant) -> tuple[str | None, str | None]:
    """The patient ids before and behind this one."""
    ids = db.select(Participant.patient_id).where(
        Participant.study_id == person.study_id, Participant.purged_at.is_(None)
    )
    before = ids.where(Participant.patient_id < person.patient_id).order_by(Participant.patient_id.desc()).limit(1)
    behind = ids.where(Participant.patient_id > person.patient_id).order_by(Participant.patient_id).limit(1)
    return db.session.scalar(before), db.session.scalar(behind)


def _file(
    head: str, days: Days | None, rows: list[Row], what: str, streams: list[DataStream], patient_ids: list[str] | None
) -> Response:
    text = io.StringIO()
    writer = csv.writer(text)
    shown = days.all if days else []
    is_hours = _is_in_hours()
    writer.writerow([head, *(day.isoformat() for day in shown), "Sum (hours)" if is_hours else "Sum (bytes)"])
    for row in rows:
        cells = ["" if cell is None else cell for cell in (row.hours if is_hours else row.cells)]
        writer.writerow([harmless(row.name), *cells, row.total_hours if is_hours else row.total])
    answer = Response(text.getvalue(), content_type="text/csv; charset=utf-8")
    name = f"{g.study.name} {what} {shown[0]} to {shown[-1]}.csv" if shown else f"{g.study.name} {what}.csv"
    attach(answer, name)
    access = record_access(
        db.session(), actor_of(g.researcher), AccessKind.STATISTICS, g.study,
        participants=len(patient_ids) if patient_ids else len(rows), patient_ids=patient_ids,
        streams=[stream.value for stream in streams], parameters={"table": "data quantities"},
    )  # fmt: skip
    end_access(db.session(), access, len(answer.data))
    db.session.commit()
    return answer
