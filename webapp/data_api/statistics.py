"""Daily summaries, and the paths of Tableau for them and for the participants' table (DATA-60 to DATA-71)."""

import json
from datetime import UTC, datetime
from typing import Any

from flask import Response, request

from core.access import Capability
from core.database import db
from core.downloads.statistics import BadFilters, read_filters, statistics_rows
from core.models import AccessKind, Study
from core.participants.table_file import all_of_study, table_of
from webapp.data_api.answering import JSON, begin_access, json_list, json_whole
from webapp.data_api.credentials import (
    STUDY_ID,
    ApiRefused,
    Program,
    missing_headers,
    program_of,
    program_of_headers,
    require_well_formed_study,
    study_for,
)
from webapp.data_api.views import api_route, data_api

GET = ("GET",)


class TableauRefused(Exception):
    """A request of Tableau is answered with this status and these errors (DATA-70)."""

    def __init__(self, status: int, errors: str | list[str]) -> None:
        super().__init__(str(errors))
        self.status, self.errors = status, errors


@api_route("/get-summary-statistics/v1")
def get_summary_statistics() -> Response:
    """Daily summaries; the filters are in the query string (DATA-60)."""
    form = request.form.to_dict()
    require_well_formed_study(form)
    program = program_of(form)
    return _statistics(program, study_for(program, form, Capability.STATISTICS_READ))


@api_route("/tableau/summary-statistics/v1/<study_id>", methods=GET)
@api_route("/api/v0/studies/<study_id>/summary-statistics/daily", methods=GET)
def tableau_summary_statistics(study_id: str) -> Response:
    """Daily summaries for Tableau."""
    program, study = for_tableau(study_id, Capability.STATISTICS_READ)
    return _statistics(program, study)


@api_route("/tableau/participant-table/v1/<study_id>", methods=GET)
@api_route("/api/v0/studies/<study_id>/participant-table", methods=GET)
def tableau_participant_table(study_id: str) -> Response:
    """The participants' table for Tableau: times in the study's zone, without offset or microseconds (DATA-71)."""
    program, study = for_tableau(study_id, Capability.STATISTICS_READ)
    access = begin_access(program, AccessKind.PARTICIPANTS_TABLE, study, "participant table")
    header, rows = table_of(db.session(), study, all_of_study(db.session(), study), datetime.now(UTC))
    names = [name.lower().replace(" ", "_") for name in header]

    def shown(cell: Any) -> Any:
        return f"{cell.astimezone(study.zone):%Y-%m-%dT%H:%M:%S}" if isinstance(cell, datetime) else cell

    return json_whole([dict(zip(names, map(shown, row), strict=True)) for row in rows], access)


def _statistics(program: Program, study: Study) -> Response:
    filters = read_filters(request.args)
    patient_ids = list(filters.patient_ids) if filters.patient_ids is not None else None
    access = begin_access(program, AccessKind.STATISTICS, study, "summary statistics", patient_ids=patient_ids)
    return json_list(statistics_rows(db.session(), study, filters), access)


def for_tableau(study_id: str, capability: Capability) -> tuple[Program, Study]:
    """The program that the headers name, and the study. Raises TableauRefused: 400, and 404 for what it may not see."""
    if missing := missing_headers(request.headers):
        raise TableauRefused(400, missing)
    try:
        program = program_of_headers(request.headers)
    except ApiRefused as refused:
        raise TableauRefused(429 if refused.status == 429 else 400, [f"The credentials: {refused}."]) from None
    if not STUDY_ID.fullmatch(study_id):
        raise TableauRefused(404, "resource not found")
    try:
        return program, study_for(program, {"study_id": study_id}, capability)
    except ApiRefused:
        raise TableauRefused(404, "resource not found") from None


@data_api.errorhandler(TableauRefused)
def tableau_refused(error: TableauRefused) -> Response:
    db.session.rollback()
    return Response(json.dumps({"errors": error.errors}), status=error.status, content_type=JSON)


@data_api.errorhandler(BadFilters)
def bad_filters(error: BadFilters) -> Response:
    return Response(json.dumps({"errors": error.sentences}), status=400, content_type=JSON)
