"""Bytes by stream and day, kept in step with the registry (PROC-40)."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.models import Chunk, DailyStatistics, Participant
from core.models.daily_statistics import BYTES_OF
from core.streams import SPECS


def days_of(time_bins: Iterable[datetime], zone: ZoneInfo) -> set[date]:
    """The local days that these hours belong to."""
    return {at.astimezone(zone).date() for at in set(time_bins)}


def recompute_days(session: Session, participant: Participant, days: set[date] | None = None) -> None:
    """Sums the registry of these days of the study's zone anew; all days without. Two statements; the caller commits.

    The participant's study is loaded, and its processing claim is ours.
    """
    if days is not None and not days:
        return
    mine = DailyStatistics.participant_id == participant.id
    stale = sa.delete(DailyStatistics).where(mine)
    session.execute(stale if days is None else stale.where(DailyStatistics.day.in_(days)))
    zone = participant.study.zone
    day = sa.cast(sa.func.timezone(zone.key, Chunk.time_bin), sa.Date)
    sums = [
        sa.func.sum(Chunk.size_bytes).filter(Chunk.stream == SPECS[stream].number).label(name)
        for stream, name in BYTES_OF.items()
    ]
    # Naming the streams lets the index on participant, stream and time answer, however much there is of other days.
    numbers = [spec.number for spec in SPECS.values()]
    totals = sa.select(sa.literal(participant.id), day, sa.literal(participant.study_id), *sums).where(
        Chunk.participant_id == participant.id, Chunk.stream.in_(numbers)
    )
    if days is not None:
        first, last = (_midnight(d, zone) for d in (min(days), max(days) + timedelta(days=1)))
        totals = totals.where(Chunk.time_bin >= first, Chunk.time_bin < last, day.in_(days))
    columns = ["participant_id", "day", "study_id", *BYTES_OF.values()]
    session.execute(insert(DailyStatistics).from_select(columns, totals.group_by(day)))


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)
