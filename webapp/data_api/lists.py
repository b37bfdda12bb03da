"""Lists of a study: settings, quantities, interventions, surveys' versions, the participants' table (DATA-40)."""

import json
from datetime import UTC, datetime, tzinfo
from typing import Any

from flask import Response, request

from core.access import Capability
from core.database import db
from core.downloads.lists import data_quantities, intervention_dates, survey_history
from core.models import AccessKind, Study
from core.participants.table_file import Cell, all_of_study, table_as_csv, table_of
from core.studies.settings_file.writing import file_name, study_file_text
from webapp.attachments import attach
from webapp.data_api.answering import begin_access, json_whole, whole
from webapp.data_api.credentials import ApiRefused, Program, program_of, require_well_formed_study, study_for
from webapp.data_api.views import api_route


@api_route("/get-study-settings/v1")
def get_study_settings() -> Response:
    """The study's settings file, as an attachment (SURVEY-50)."""
    program, study = _asked(Capability.STUDY_VIEW)
    answer = whole(study_file_text(db.session(), study), begin_access(program, AccessKind.LIST, study, "settings"))
    attach(answer, file_name(study))
    return answer


@api_route("/get-participant-data-quantities/v1")
def get_participant_data_quantities() -> Response:
    """Bytes of each stream by patient id, over all days."""
    program, study = _asked(Capability.STATISTICS_READ)
    access = begin_access(program, AccessKind.STATISTICS, study, "data quantities")
    return json_whole(data_quantities(db.session(), study), access)


@api_route("/get-interventions/v1")
def get_interventions() -> Response:
    """Dates of interventions by patient id, survey id and name."""
    program, study = _asked(Capability.STATISTICS_READ)
    access = begin_access(program, AccessKind.LIST, study, "interventions")
    return json_whole(intervention_dates(db.session(), study), access)


@api_route("/get-survey-history/v1")
def get_survey_history() -> Response:
    """The versions of all surveys, as an attachment."""
    program, study = _asked(Capability.STUDY_VIEW)
    access = begin_access(program, AccessKind.LIST, study, "survey history")
    answer = whole(json.dumps(survey_history(db.session(), study)), access, "text/json")
    name = f"{study.object_id}_surveys_history_data.json"
    attach(answer, name)
    return answer


@api_route("/get-participant-table-data/v1")
def get_participant_table_data() -> Response:
    """The participants' table as objects, as lists, or as CSV (DATA-44)."""
    form = request.form.to_dict()
    require_well_formed_study(form)
    data_format = form.get("data_format", "")
    program = program_of(form)
    study = study_for(program, form, Capability.STATISTICS_READ)
    if data_format not in ("json", "json_table", "csv"):
        raise ApiRefused(400, "data_format: json, json_table or csv is expected")
    access = begin_access(program, AccessKind.PARTICIPANTS_TABLE, study, "participant table")
    header, rows = table_of(db.session(), study, all_of_study(db.session(), study), datetime.now(UTC))
    if data_format == "csv":
        return whole(table_as_csv(header, rows, study.zone, is_for_programs=True), access, "text/csv; charset=utf-8")
    shown = [[in_zone(cell, study.zone) for cell in row] for row in rows]
    return json_whole(
        [header, *shown] if data_format == "json_table" else [dict(zip(header, row, strict=True)) for row in shown],
        access,
    )


def in_zone(cell: Cell, zone: tzinfo) -> Any:
    """A cell as JSON has it: times with microseconds and the zone's offset (DATA-42)."""
    return cell.astimezone(zone).isoformat(timespec="microseconds") if isinstance(cell, datetime) else cell


def _asked(capability: Capability) -> tuple[Program, Study]:
    """The program and the study that it asks for, if it may. Raises ApiRefused in the order of DATA-2."""
    form = request.form.to_dict()
    require_well_formed_study(form)
    program = program_of(form)
    return program, study_for(program, form, capability)
