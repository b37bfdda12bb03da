"""Histories that are kept for some months only, where a deployment says so (MODEL-107)."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from core.config import Settings, get_settings
from core.database import db
from core.models import Heartbeat, Participant, Refusal, RefusedUpload, StatusReport
from core.operations import history_pruning
from core.operations.history_pruning import count_old_rows, prune_rows
from tests.support.factories import Factory

NOW = datetime(2025, 3, 31, 12, tzinfo=UTC)
AGES = [timedelta(days=days) for days in (0, 27, 32, 400)]


@pytest.fixture
def participants(factory: Factory) -> list[Participant]:
    """Two, each with four rows in each history: of today, and 27, 32 and 400 days old."""
    participants = [factory.participant(), factory.participant()]
    for who in participants:
        for age in AGES:
            db.session.add(Heartbeat(participant_id=who.id, at=NOW - age))
            db.session.add(StatusReport(participant_id=who.id, at=NOW - age, endpoint="/upload"))
            db.session.add(
                RefusedUpload(
                    participant_id=who.id,
                    file_name=str(age),
                    reason=Refusal.JUNK_NAME,
                    status=200,
                    size_bytes=1,
                    first_at=NOW - timedelta(days=900),
                    last_at=NOW - age,
                )
            )
    db.session.commit()
    return participants


def keeping(**months: int) -> Settings:
    return get_settings().model_copy(update={f"retention_{name}_months": kept for name, kept in months.items()})


def prune(settings: Settings) -> dict[str, int]:
    counts: dict[str, int] = {}
    for table, count in prune_rows(db.session(), settings, NOW):
        counts[table] = counts.get(table, 0) + count
    return counts


def ages_left(model: type, column: str = "at") -> set[timedelta]:
    return {NOW - at for at in db.session.scalars(db.select(getattr(model, column)))}


def test_without_a_setting_everything_is_kept_for_ever(app: Flask, participants: list[Participant]):
    """MODEL-107, OPS-1."""
    assert count_old_rows(db.session(), get_settings(), NOW) == prune(get_settings()) == {}
    assert ages_left(Heartbeat) == ages_left(StatusReport) == ages_left(RefusedUpload, "last_at") == set(AGES)


def test_each_history_has_its_own_months_which_are_those_of_the_calendar(app: Flask, participants: list[Participant]):
    """MODEL-107: one month before the 31st of March is the 28th of February."""
    settings = keeping(heartbeats=1, status_reports=12)
    expected = {"heartbeats": 4, "status_reports": 2}
    assert count_old_rows(db.session(), settings, NOW) == expected
    assert prune(settings) == expected
    assert ages_left(Heartbeat) == set(AGES[:2])
    assert ages_left(StatusReport) == set(AGES[:3])
    assert ages_left(RefusedUpload, "last_at") == set(AGES)
    assert prune(settings) == {}


def test_refused_uploads_go_by_when_they_were_last(app: Flask, participants: list[Participant]):
    """OPS-1 RETENTION_REFUSED_UPLOADS_MONTHS."""
    assert prune(keeping(refused_uploads=12)) == {"refused_uploads": 2}
    assert ages_left(RefusedUpload, "last_at") == set(AGES[:3])


def test_rows_go_in_bounded_batches_of_every_participant(
    app: Flask, participants: list[Participant], monkeypatch: pytest.MonkeyPatch
):
    """OPS-60: no transaction grows with the history."""
    monkeypatch.setattr(history_pruning, "BATCH_ROWS", 1)
    monkeypatch.setattr(history_pruning, "PAGE_PARTICIPANTS", 1)
    assert list(prune_rows(db.session(), keeping(heartbeats=1), NOW)) == [("heartbeats", 1)] * 4
    assert ages_left(Heartbeat) == set(AGES[:2])
