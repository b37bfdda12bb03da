"""Pages of Tableau's web data connector 2.3: they declare columns, ask for a key, and fetch the data path (DATA-72).

They need no credentials and show nothing of a study: the names of its fields and interventions come with a key
(PERM-36). Tableau's library comes from the address of TABLEAU_LIBRARY_URL, the only exception to the content security
policy, on these pages alone (CLAR-76).
"""

from urllib.parse import urlsplit

from flask import Response, make_response, render_template, request

from core.access import Capability
from core.database import db
from core.downloads.statistics import BYTES, FIELDS, MEASURES, ORIGINS, listed
from core.models import AccessKind, CustomField, Intervention, Study
from core.models.study import study_by_object_id
from core.participants.table_file import LAST_TIMES
from webapp.data_api.answering import begin_access, json_whole
from webapp.data_api.credentials import STUDY_ID, ApiRefused
from webapp.data_api.statistics import for_tableau
from webapp.data_api.views import api_route
from webapp.security import HEADERS
from webapp.stores import settings

GET = ("GET",)
TEXTS = {"date": "date"}
WHOLE = ("count", "degree", "length", "reciprocity", "callers", "surveys")
TIMES = ("first_registration_date", *(name.lower().replace(" ", "_") for name in LAST_TIMES))
FIRST_COLUMNS = [("created_on", "date"), ("patient_id", "string"), ("status", "string"), ("os_type", "string")]
NO_TIMES = ("last_timezone", "last_os_version", "app_version_code", "app_version_name")
LAST_COLUMNS = [(name, "string" if name in NO_TIMES else "datetime") for name in TIMES]


@api_route("/tableau/summary-statistics-wdc/v1/<study_id>", methods=GET)
@api_route("/api/v0/studies/<study_id>/summary-statistics/daily/wdc", methods=GET)
def summary_statistics_connector(study_id: str) -> Response:
    """The connector of daily summaries; the study is not looked up. `fields` may name further columns (DATA-60)."""
    further = [name for name in listed(request.args.get("fields", "")) if name in ORIGINS]
    columns = [(name, _type(name)) for name in (*FIELDS, *further)]
    return _page("Beiwe daily summaries", f"/tableau/summary-statistics/v1/{study_id}", columns)


@api_route("/tableau/participant-table-wdc/v1/<study_id>", methods=GET)
@api_route("/api/v0/studies/<study_id>/participant-table/wdc", methods=GET)
def participant_table_connector(study_id: str) -> Response:
    """The connector of the participants' table; with a key it also declares the study's own columns."""
    if not STUDY_ID.fullmatch(study_id):
        raise ApiRefused(400, "the study's id: 24 letters or digits are expected")
    study = study_by_object_id(db.session(), study_id)
    if study is None or study.hidden_at is not None:
        raise ApiRefused(404, "there is no such study")
    return _page(
        "Beiwe participants",
        f"/tableau/participant-table/v1/{study_id}",
        [*FIRST_COLUMNS, *LAST_COLUMNS],
        f"/tableau/participant-table-columns/v1/{study_id}",
    )


@api_route("/tableau/participant-table-columns/v1/<study_id>", methods=GET)
def tableau_participant_columns(study_id: str) -> Response:
    """The columns of the participants' table, with the study's interventions and custom fields (PERM-36)."""
    program, study = for_tableau(study_id, Capability.STATISTICS_READ)
    access = begin_access(program, AccessKind.LIST, study, "columns of the participant table")
    own = [(name, "date") for name in _names(study, Intervention)]
    own += [(name, "string") for name in _names(study, CustomField)]
    return json_whole(_declared([*FIRST_COLUMNS, *own, *LAST_COLUMNS]), access)


def _names(study: Study, model: type[Intervention] | type[CustomField]) -> list[str]:
    query = db.select(model.name).where(model.study_id == study.id).order_by(db.func.lower(model.name), model.id)
    return [name.lower().replace(" ", "_") for name in db.session.scalars(query)]


def _type(name: str) -> str:
    if name in BYTES or (name in MEASURES and name.endswith(WHOLE)):
        return "int"
    if name in MEASURES:
        return "float"
    if name in ORIGINS and name.endswith("_at"):
        return "datetime"
    return TEXTS.get(name, "string")


def _declared(columns: list[tuple[str, str]]) -> list[dict[str, str]]:
    """Columns as Tableau wants them: each id once, of letters, digits and underscores alone."""
    listed: dict[str, dict[str, str]] = {}
    for name, kind in columns:
        plain = column = "".join(c if c.isascii() and c.isalnum() else "_" for c in name)
        number = 1
        while column in listed:
            number += 1
            column = f"{plain}__{number}"
        listed[column] = {"id": column, "alias": name, "dataType": kind}
    return list(listed.values())


def _page(title: str, path: str, columns: list[tuple[str, str]], columns_path: str = "") -> Response:
    """The page; with `columns_path` it asks there for its columns, with the key, before it fetches rows."""
    library = settings().tableau_library_url
    page = render_template(
        "tableau/connector.html",
        title=title,
        path=path,
        columns=_declared(columns),
        columns_path=columns_path,
        library=library,
    )
    response = make_response(page)
    parts = urlsplit(library)
    policy = HEADERS["Content-Security-Policy"]
    response.headers["Content-Security-Policy"] = policy.replace(
        "script-src 'self'", f"script-src 'self' {parts.scheme}://{parts.netloc}{parts.path}"
    )
    return response
