"""The list of a study's participants and its figures (PORTAL-110 to PORTAL-114, PORTAL-226)."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from core.database import db
from core.models import Participant, ParticipantActivity, QueuedUpload, Study, UploadRecord
from core.participants.listing import ROWS, ListQuery, list_participants, page_of_rows
from core.participants.states import Show
from core.studies.figures import study_figures
from tests.support.factories import Factory
from tests.support.portal_visitor import TOKEN, Visitor
from webapp.portal.participants.list_address import list_arguments, parse_list_address

pytestmark = pytest.mark.usefixtures("quick_passwords")

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def study(factory: Factory) -> Study:
    """One participant in each state."""
    study = factory.study("Sleep and movement")
    add(factory, study, "reports1", upload=NOW - HOUR)
    add(factory, study, "silent11", upload=NOW - 24 * HOUR)
    add(factory, study, "silent22")
    add(factory, study, "newcomer", platform=None)
    add(factory, study, "retired1", upload=NOW - HOUR, retired_at=NOW - HOUR)
    add(factory, study, "purging1", purge_asked_at=NOW)
    add(factory, study, "purged11", purge_asked_at=NOW, purged_at=NOW)
    add(factory, factory.study(), "stranger", upload=NOW)
    return study


def add(factory: Factory, study: Study, patient_id: str, upload: datetime | None = None, **columns: object) -> None:
    participant = factory.participant(study, patient_id, **columns)
    participant.activity.last_upload_at = upload
    db.session.commit()


def ids(study: Study, **query: object) -> list[str]:
    listed = list_participants(db.session(), study.id, ListQuery(**query), NOW)  # type: ignore[arg-type]
    return [row.patient_id for row in listed.rows]


def test_each_filter_shows_its_state_and_purged_ones_are_in_none(study: Study):
    """PORTAL-113; the labels of the states."""
    shown = {show: set(ids(study, show=show)) for show in Show}
    assert shown == {
        Show.ALL: {"reports1", "silent11", "silent22", "newcomer", "retired1", "purging1"},
        Show.REPORTING: {"reports1"},
        Show.SILENT: {"silent11", "silent22"},
        Show.NOT_REGISTERED: {"newcomer"},
        Show.PAUSED: set(),
        Show.LEFT: set(),
        Show.RETIRED: {"retired1", "purging1"},
    }
    counts = list_participants(db.session(), study.id, ListQuery(), NOW).counts
    assert counts == {show: len(found) for show, found in shown.items()}


def test_search_is_by_the_beginning_of_an_id_in_any_case_and_else_by_what_is_inside(study: Study):
    """PORTAL-111."""
    assert ids(study, search="silent", sort="id", is_ascending=True) == ["silent11", "silent22"]
    assert parse_list_address({"search": " SILENT2 "}).search == "silent2"
    inside = list_participants(db.session(), study.id, ListQuery(search="22"), NOW)
    assert [row.patient_id for row in inside.rows] == ["silent22"] and inside.is_inside
    assert ids(study, search="%") == ids(study, search="_") == ids(study, search="stranger") == []


def test_empty_cells_come_last_in_both_directions(study: Study):
    """PORTAL-112."""
    up = ids(study, sort="upload", is_ascending=True)
    down = ids(study, sort="upload")
    assert up[:3] == ["silent11", "reports1", "retired1"]
    assert down[:3] == ["reports1", "retired1", "silent11"]
    assert up[3:] == down[3:] == ["newcomer", "purging1", "silent22"]


def test_an_address_holds_the_whole_list(study: Study):
    """Shareable, and without what is the default; invalid values fall back to the default."""
    query = ListQuery("ab", Show.SILENT, sort="upload", is_ascending=True, page=3)
    assert parse_list_address({k: str(v) for k, v in list_arguments(query, page=3).items()}) == query
    assert list_arguments(query, search="", show=Show.ALL, sort="created", is_ascending=False) == {}
    for nonsense in ({"page": "x"}, {"page": "0"}, {"page": "²"}, {"sort": "password_hash"}, {"show": "1' or 1=1"}):
        assert parse_list_address(nonsense) == ListQuery()


def test_a_page_beyond_the_last_is_the_last(study: Study):
    listed = list_participants(db.session(), study.id, ListQuery(page=10**8), NOW)
    assert (listed.query.page, listed.first, listed.last, listed.total) == (1, 1, 6, 6)


def test_figures_have_their_context(study: Study):
    participant = db.session.scalars(db.select(Participant).filter_by(patient_id="reports1")).one()
    common = {"participant_id": participant.id, "size_bytes": 1}
    db.session.execute(
        sa.update(ParticipantActivity)
        .values(last_upload_at=NOW - HOUR / 2)
        .where(ParticipantActivity.participant_id == participant.id)
    )
    db.session.add_all(
        [
            UploadRecord(path="a", received_at=NOW - HOUR / 2, **common),
            UploadRecord(path="b", received_at=NOW - 2 * HOUR, **common),
            QueuedUpload(path="a", study_id=study.id, received_at=NOW - HOUR / 2, **common),
        ]
    )
    db.session.commit()
    figures = study_figures(db.session(), study.id, NOW)
    assert (figures.participants, figures.registered, figures.reporting, figures.silent) == (6, 3, 1, 2)
    assert (figures.uploads_lately, figures.waiting, figures.oldest_waiting_at) == (1, 1, NOW - HOUR / 2)


def test_the_page_and_its_swap_hold_the_same_list(app: Flask, factory: Factory, study: Study):
    """PORTAL-110."""
    visitor = Visitor(app, factory.researcher(study=study))
    path = f"/view_study/{study.id}/participants?show=not_registered"
    page, swap = (TOKEN.sub("", answer.text) for answer in (visitor.get(path), visitor.swap(path)))  # signed by second
    assert swap.strip() in page and "<html" not in swap
    assert "newcomer" in swap and "reports1" not in swap
    assert 'aria-current="true">Not registered' in swap


def test_find_goes_straight_to_an_id_and_else_to_the_list(app: Flask, factory: Factory, study: Study):
    visitor = Visitor(app, factory.researcher(study=study))
    path = f"/view_study/{study.id}/participants"
    assert visitor.get(f"{path}?find=NEWCOMER").location == f"/view_study/{study.id}/participant/newcomer"
    assert visitor.get(f"{path}?find=silent").location == f"{path}?search=silent"
    assert visitor.get(f"{path}?find=stranger").location == f"{path}?search=stranger"


def test_a_stopped_study_says_what_it_means(app: Flask, factory: Factory, study: Study):
    """PORTAL-12."""
    study.is_stopped_by_hand = True
    db.session.commit()
    page = Visitor(app, factory.researcher(study=study)).get(f"/view_study/{study.id}/participants").text
    assert "thrown away" in page and "Stopped" in page


def test_a_name_is_shown_as_it_was_typed(app: Flask, factory: Factory):
    """PORTAL-8, PORTAL-9."""
    study = factory.study("<b>{{7*7}}</b> & Children's")
    page = Visitor(app, factory.researcher(study=study)).get(f"/view_study/{study.id}/participants").text
    assert "&lt;b&gt;{{7*7}}&lt;/b&gt; &amp; Children&#39;s" in page and "<b>{{" not in page


def test_a_hundred_thousand_participants_are_read_by_index(factory: Factory):
    """PORTAL-114: pages in the orders of id and creation, and a search, follow an index; fifty rows are read."""
    study = factory.study()
    db.session.execute(
        sa.text(
            "INSERT INTO participants (patient_id, study_id, password_hash, device_id, created_at)"
            " SELECT 'x' || translate(lpad(n::text, 7, '0'), '0', 'o'), :study, '', 'd', now() - n * interval '1 min'"
            " FROM generate_series(1, 100000) n"
        ),
        {"study": study.id},
    )
    db.session.execute(sa.text("INSERT INTO participant_activity (participant_id) SELECT id FROM participants"))
    db.session.execute(sa.text("ANALYZE participants, participant_activity"))
    for query, index in (
        (ListQuery(), "ix_participants_study_id_created_at"),
        (ListQuery(is_ascending=True), "ix_participants_study_id_created_at"),
        (ListQuery(sort="id", is_ascending=True), "ix_participants_study_id_patient_id"),
    ):
        plan = explain(page_of_rows(study.id, query, sa.true(), NOW))
        assert index in plan and "Seq Scan on participant" not in plan, plan
    listed = list_participants(db.session(), study.id, ListQuery(search="xoo1", sort="id", is_ascending=True), NOW)
    assert (listed.total, len(listed.rows), listed.rows[0].patient_id) == (10_000, ROWS, "xoo11111")
    last = list_participants(db.session(), study.id, ListQuery(page=9_999_999), NOW)
    assert (last.query.page, last.total, len(last.rows)) == (2_000, 100_000, ROWS)


def explain(query: sa.Select[tuple]) -> str:
    text = query.compile(db.engine, compile_kwargs={"literal_binds": True})
    return "\n".join(row[0] for row in db.session.execute(sa.text(f"EXPLAIN {text}")))
