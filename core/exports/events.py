"""The events table: when each survey was asked of each participant, and what came of it (CLAR-74, NOTIF-24)."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.exports.choice import HOUR, ExportChoice
from core.exports.parquet_schema import TEXT, UTC_TIME, WHOLE, Column, polars_schema
from core.models import CountedEvent, NotificationAttempt, Participant, Survey, SurveyVersion

PAGE_ROWS = 20_000
SUCCESS = "success"
YES_NO = pl.Boolean()

EVENT_COLUMNS = (
    Column("participant_id", "", TEXT, "", "The participant's id."),
    Column("survey_id", "", TEXT, "", "The survey's id."),
    Column("survey_name", "", TEXT, "", "The survey's name."),
    Column("day", "", pl.Date(), "", "The date on the participant's clock when the event's time came."),
    Column("scheduled_at", "", UTC_TIME, "UTC", "The time of the schedule, in the study's zone."),
    Column("counts_at", "", UTC_TIME, "UTC", "When that time came on the participant's clock."),
    Column("expires_at", "", UTC_TIME, "UTC", "Until when an answer was in time."),
    Column("sent_at", "", UTC_TIME, "UTC", "When a push service first accepted a message for it; null: none did."),
    Column("messages", "", WHOLE, "", "Messages that a push service accepted."),
    Column("is_received", "", YES_NO, "", "Whether the phone said that it has the message. Not all apps do."),
    Column("opened_at", "", UTC_TIME, "UTC", "When the participant was first seen to open it."),
    Column("answered_at", "", UTC_TIME, "UTC", "When the first submission was made, in time or late."),
    Column("outcome", "", TEXT, "", "`open`, `answered`, `late` or `missed`."),
    Column("minutes", "", WHOLE, "min", "Whole minutes from counts_at to answered_at."),
)


def write_events(session: Session, study_id: int, choice: ExportChoice, form: str, folder: Path) -> Path:
    """Writes the table of what the session may see, as csv or parquet, in pages of 20,000 rows. Returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"events.{form}"
    pages = _pages(session, study_id, choice)
    if form == "csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([column.name for column in EVENT_COLUMNS])
            for page in pages:
                writer.writerows([_as_text(value) for value in row] for row in page)
        return path
    parts = []
    schema = polars_schema(EVENT_COLUMNS)
    for number, page in enumerate(pages):
        parts.append(folder / f"part-{number}.parquet")
        pl.DataFrame(page, schema=schema, orient="row").write_parquet(parts[-1])
    whole = pl.scan_parquet(parts) if parts else schema.to_frame().lazy()
    whole.sink_parquet(path, compression="zstd")
    return path


def _pages(session: Session, study_id: int, choice: ExportChoice) -> Iterator[list[tuple[Any, ...]]]:
    """Rows in the order of their numbers. No transaction is open between pages."""
    last = 0
    while True:
        page = session.execute(_query(study_id, choice).where(CountedEvent.id > last).limit(PAGE_ROWS)).all()
        session.commit()
        if page:
            yield [tuple(row)[1:] for row in page]
        if len(page) < PAGE_ROWS:
            return
        last = page[-1][0]


def _query(study_id: int, choice: ExportChoice) -> sa.Select[Any]:
    sent = (
        sa.select(
            sa.func.min(NotificationAttempt.attempted_at).label("sent_at"),
            sa.func.count().label("messages"),
            sa.func.coalesce(sa.func.bool_or(NotificationAttempt.is_confirmed), sa.false()).label("is_received"),
        )
        .join(SurveyVersion, SurveyVersion.id == NotificationAttempt.survey_version_id)
        .where(
            NotificationAttempt.participant_id == CountedEvent.participant_id,
            NotificationAttempt.scheduled_at == CountedEvent.scheduled_at,
            NotificationAttempt.status == SUCCESS,
            SurveyVersion.survey_id == CountedEvent.survey_id,
        )
        .lateral("sent")
    )
    query = (
        sa.select(
            CountedEvent.id,
            Participant.patient_id,
            Survey.object_id,
            Survey.name,
            CountedEvent.on_day,
            CountedEvent.scheduled_at,
            CountedEvent.counts_at,
            CountedEvent.expires_at,
            sent.c.sent_at,
            sent.c.messages,
            sent.c.is_received,
            CountedEvent.opened_at,
            CountedEvent.answered_at,
            CountedEvent.outcome,
            CountedEvent.minutes,
        )
        .join(Participant, Participant.id == CountedEvent.participant_id)
        .join(Survey, Survey.id == CountedEvent.survey_id)
        .join(sent, sa.true())
        .where(Participant.study_id == study_id, Participant.purge_asked_at.is_(None))
        .order_by(CountedEvent.id)
    )
    if choice.patient_ids is not None:
        query = query.where(Participant.patient_id.in_(choice.patient_ids))
    if not choice.with_test:
        query = query.where(Participant.is_test.is_(False))
    if choice.survey_id is not None:
        query = query.where(CountedEvent.survey_id == choice.survey_id)
    if choice.start_at is not None:
        query = query.where(CountedEvent.counts_at >= choice.start_at)
    if choice.end_at is not None:
        query = query.where(CountedEvent.counts_at < choice.end_at + HOUR)
    return query


def _as_text(value: Any) -> Any:
    """Times in ISO 8601, UTC; nothing for null."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return str(value).lower() if isinstance(value, bool) else value
