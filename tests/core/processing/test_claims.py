"""Claims when very much waits: plans, and fairness (PROC-51, MODEL-105)."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from core.database import db
from core.models import Participant
from core.processing import claims
from core.processing.batch import next_files
from core.processing.claims import Scope, claimed_participant, count_waiting
from tests.support.factories import Factory
from webapp.stores import settings

BACKLOG, OTHERS = 100_000, 2_000


@pytest.fixture
def busy(app: Flask, factory: Factory) -> Participant:
    """A participant with 100,000 waiting files, among 2,000 with one each, all with the rows of their objects."""
    participant = factory.participant()
    values = {"study": participant.study_id, "id": participant.id, "others": OTHERS, "backlog": BACKLOG}
    db.session.execute(
        sa.text(
            "WITH other AS (INSERT INTO participants (patient_id, study_id, password_hash)"
            " SELECT 'o' || translate(lpad(n::text, 7, '0'), '0', 'z'), :study, '' FROM generate_series(1, :others) n"
            " RETURNING id)"
            " INSERT INTO upload_queue (path, study_id, participant_id, size_bytes)"
            " SELECT 'x/' || id || '/gps/1.csv', :study, id, 1000 FROM other"
        ),
        values,
    )
    db.session.execute(
        sa.text(
            "INSERT INTO upload_queue (path, study_id, participant_id, size_bytes)"
            " SELECT 'x/busy/gps/' || n || '.csv', :study, :id, 1000 FROM generate_series(1, :backlog) n"
        ),
        values,
    )
    db.session.execute(
        sa.text("INSERT INTO stored_objects (path, size_bytes) SELECT path || '.zst', size_bytes FROM upload_queue")
    )
    db.session.commit()
    db.session.execute(sa.text("ANALYZE upload_queue, participants, served_participants, stored_objects"))
    db.session.commit()
    return participant


def scans(statement: Any, parameters: dict[str, Any] | None = None) -> list[tuple[str, str, str | None]]:
    """Kind of scan, table and index, for every scan of the statement's plan."""
    compiled = statement.compile(db.engine, compile_kwargs={"literal_binds": True}) if parameters is None else statement
    explain = sa.text(f"EXPLAIN (FORMAT JSON) {compiled}")
    plan = db.session.execute(explain, parameters or {}).scalar_one()[0]["Plan"]
    found = []

    def walk(node: dict[str, Any]) -> None:
        if "Relation Name" in node or "Index Name" in node:
            found.append((node["Node Type"], node.get("Relation Name", ""), node.get("Index Name")))
        for child in node.get("Plans", ()):
            walk(child)

    walk(plan)
    return found


def test_a_long_backlog_is_claimed_and_read_by_index(busy: Participant):
    """PROC-51, MODEL-102, MODEL-105: no plan reads the whole queue."""
    parameters = {"study_id": None, "participant_id": None, "candidates": claims.CANDIDATES}
    waiting = scans(claims._WAITING, parameters)
    assert [kind for kind, table, _ in waiting if table == "upload_queue" and kind == "Seq Scan"] == []
    assert "ix_upload_queue_waiting" in {index for _, _, index in waiting}
    for participant_id, indexes in (
        (busy.id, {"ix_upload_queue_waiting", "uq_upload_queue_path"}),
        (busy.id + 1, {"ix_upload_queue_waiting"}),
    ):
        files, objects = scans(next_files(participant_id, settings()))
        assert files[:2] == ("Index Scan", "upload_queue")
        assert files[2] in indexes
        assert objects == ("Index Scan", "stored_objects", "pk_stored_objects")


def test_a_long_backlog_is_not_counted_to_its_end(busy: Participant):
    """OPS-22: the dispatcher only needs to know that it is long."""
    assert count_waiting(db.session()) == claims.MOST_COUNTED


def test_a_participant_with_a_backlog_does_not_starve_the_rest(busy: Participant):
    """PROC-51: who was served least recently comes first."""
    served = []
    for _ in range(60):
        with claimed_participant(db.engine, Scope()) as claim:
            assert claim is not None
            served.append(claim[1])
    assert len(set(served)) == 60
    assert served.count(busy.id) == 1
