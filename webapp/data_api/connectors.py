"""Pages of Tableau's web data connector 2.3: they declare columns, ask for a key, and fetch the data path (DATA-72).

They need no credentials and show nothing of a study. Tableau's library comes from the address of TABLEAU_LIBRARY_URL,
the only exception to the content security policy, on these pages alone (CLAR-76).
"""

from urllib.parse import urlsplit

from flask import Response, make_response, render_template

from core.database import db
from core.downloads.statistics import BYTES, FIELDS, MEASURES
from core.models import CustomField, Intervention, Study
from core.models.study import study_by_object_id
from core.participants.table_file import LAST_TIMES
from webapp.data_api.credentials import STUDY_ID, ApiRefused
from webapp.data_api.views import api_route
from webapp.security import HEADERS
from webapp.stores import settings

GET = ("GET",)
TEXTS = {"date": "date"}
WHOLE = ("count", "degree", "length", "reciprocity", "callers", "surveys")
TIMES = ("first_registration_date", *(name.lower().replace(" ", "_") for name in LAST_TIMES))
NO_TIMES = ("last_timezone", "last_os_version", "app_version_code", "app_version_name")


@api_route("/tableau/summary-statistics-wdc/v1/<study_id>", methods=GET)
@api_route("/api/v0/studies/<study_id>/summary-statistics/daily/wdc", methods=GET)
def summary_statistics_connector(study_id: str) -> Response:
    """The connector of daily summaries; the study is not looked up."""
    columns = [(name, _type(name)) for name in FIELDS]
    return _page("Beiwe daily summaries", f"/tableau/summary-statistics/v1/{study_id}", columns)


@api_route("/tableau/participant-table-wdc/v1/<study_id>", methods=GET)
@api_route("/api/v0/studies/<study_id>/participant-table/wdc", methods=GET)
def participant_table_connector(study_id: str) -> Response:
    """The connector of the participants' table, with the study's interventions and fields as columns."""
    if not STUDY_ID.fullmatch(study_id):
        raise ApiRefused(400, "the study's id: 24 letters or digits are expected")
    study = study_by_object_id(db.session(), study_id)
    if study is None:
        raise ApiRefused(404, "there is no such study")
    columns = [("created_on", "date"), ("patient_id", "string"), ("status", "string"), ("os_type", "string")]
    columns += [(name, "date") for name in _names(study, Intervention)]
    columns += [(name, "string") for name in _names(study, CustomField)]
    columns += [(name, "string" if name in NO_TIMES else "datetime") for name in TIMES]
    return _page("Beiwe participants", f"/tableau/participant-table/v1/{study_id}", columns)


def _names(study: Study, model: type[Intervention] | type[CustomField]) -> list[str]:
    query = db.select(model.name).where(model.study_id == study.id).order_by(db.func.lower(model.name), model.id)
    return [name.lower().replace(" ", "_") for name in db.session.scalars(query)]


def _type(name: str) -> str:
    if name in BYTES or (name in MEASURES and name.endswith(WHOLE)):
        return "int"
    if name in MEASURES:
        return "float"
    return TEXTS.get(name, "string")


def _page(title: str, path: str, columns: list[tuple[str, str]]) -> Response:
    """The page; ids of columns are letters, digits and underscores, which Tableau insists on."""
    listed: list[dict[str, str]] = []
    for name, kind in columns:
        plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in name)
        taken = sum(each["id"].partition("__")[0] == plain for each in listed)
        listed.append({"id": f"{plain}__{taken + 1}" if taken else plain, "alias": name, "dataType": kind})
    library = settings().tableau_library_url
    page = render_template("tableau/connector.html", title=title, path=path, columns=listed, library=library)
    response = make_response(page)
    parts = urlsplit(library)
    policy = HEADERS["Content-Security-Policy"]
    response.headers["Content-Security-Policy"] = policy.replace(
        "script-src 'self'", f"script-src 'self' {parts.scheme}://{parts.netloc}{parts.path}"
    )
    return response
