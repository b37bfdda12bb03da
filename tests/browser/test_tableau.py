"""The connector pages in a real browser, with Tableau's library stubbed by its documented interface (DATA-72)."""

import json
from datetime import date

import pytest
from playwright.sync_api import Page, Route, expect

from core.database import db
from core.models import CustomField, DailyStatistics, FieldValue
from tests.support.factories import Factory

LIBRARY = """
window.tableau = {
  authTypeEnum: { basic: "basic" },
  dataTypeEnum: { int: "int", float: "float", date: "date", datetime: "datetime", bool: "bool", string: "string" },
  makeConnector: () => ({}),
  registerConnector: (connector) => { window.connector = connector; },
  abortWithError: (text) => { document.title = text; },
  submit: () => {
    const rows = [];
    connector.init(() => connector.getSchema(([table]) => connector.getData(
      { appendRows: (more) => rows.push(...more) },
      () => { document.title = JSON.stringify({ columns: table.columns, rows }); },
    )));
  },
};
"""


@pytest.fixture
def tableau(page: Page) -> Page:
    def answer(route: Route) -> None:
        route.fulfill(body=LIBRARY, content_type="text/javascript")

    page.route("https://connectors.tableau.com/**", answer)
    return page


def test_both_connectors_declare_columns_and_fetch_rows(server: str, tableau: Page, factory: Factory):
    """DATA-70, DATA-72, CLAR-76: types, filters of the page's address, names that are no ids, wrong keys."""
    study = factory.study("Mood")
    person = factory.participant(study)
    for name, value in (("Größe (cm)", "170"), ("身長", "a"), ("体重", "b")):
        field = CustomField(study_id=study.id, name=name)
        db.session.add(field)
        db.session.flush()
        db.session.add(FieldValue(participant_id=person.id, field_id=field.id, value=value))
    for day in (1, 2):
        row = {"participant_id": person.id, "study_id": study.id, "day": date(2024, 3, day), "gps_bytes": day}
        db.session.add(DailyStatistics(**row))
    db.session.commit()
    key = factory.api_key(factory.researcher("programs", study=study))

    def fetched(path: str, secret: str) -> str:
        tableau.goto(server + path)
        tableau.get_by_label("Access key").fill(key["access_key"])
        tableau.get_by_label("Secret key").fill(secret)
        before = tableau.title()
        tableau.get_by_role("button", name="Fetch the data").click()
        expect(tableau).not_to_have_title(before)
        return tableau.title()

    daily = f"/tableau/summary-statistics-wdc/v1/{study.object_id}?end_date=2024-03-01"
    got = json.loads(fetched(daily, key["secret_key"]))
    assert [row["beiwe_gps_bytes"] for row in got["rows"]] == [1]
    kinds = {column["id"]: column["dataType"] for column in got["columns"]}
    assert (kinds["date"], kinds["beiwe_gps_bytes"], kinds["jasmine_home_duration"]) == ("date", "int", "float")
    table = f"/api/v0/studies/{study.object_id}/participant-table/wdc"
    got = json.loads(fetched(table, key["secret_key"]))
    assert got["rows"][0]["patient_id"] == person.patient_id and got["rows"][0]["gr__e__cm_"] == "170"
    assert {got["rows"][0][name] for name in ("__", "____2")} == {"a", "b"}
    assert len({column["id"] for column in got["columns"]}) == len(got["columns"])
    assert "credentials" in fetched(table, "A" * 64)


def test_codes_of_connector_pages(server: str, page: Page, factory: Factory):
    """DATA-72, PERM-36: participant-table: malformed 400, unknown and hidden 404; nothing of a study without a key."""
    study = factory.study("Mood")
    db.session.add(CustomField(study_id=study.id, name="hiv_status"))
    db.session.commit()
    connector = f"{server}/tableau/participant-table-wdc/v1/{study.object_id}"
    assert page.request.get(connector).status == 200 and "hiv" not in page.request.get(connector).text()
    study.hidden_at = db.func.now()
    db.session.commit()
    assert page.request.get(connector).status == 404
    assert page.request.get(f"{server}/tableau/participant-table-wdc/v1/abc").status == 400
    assert page.request.get(f"{server}/tableau/participant-table-wdc/v1/{'a' * 24}").status == 404
    answer = page.request.get(f"{server}/tableau/summary-statistics-wdc/v1/{'a' * 24}/")
    assert answer.status == 200
    assert "https://connectors.tableau.com/" in answer.headers["content-security-policy"]
    assert "tableau" not in page.request.get(f"{server}/").headers["content-security-policy"]
