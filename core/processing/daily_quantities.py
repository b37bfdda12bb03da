"""Bytes by stream and day, computed from the registry (PROC-40)."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import Participant
from core.models.daily_statistics import BYTES_OF
from core.streams import SPECS


def days_of(time_bins: Iterable[datetime], zone: ZoneInfo) -> set[date]:
    """The local days that these hours belong to."""
    return {at.astimezone(zone).date() for at in set(time_bins)}


def recompute_days(session: Session, participant: Participant, days: set[date] | None = None) -> None:
    """Recomputes the sums of these days in the study's zone, by default of all days. The caller commits.

    Two statements. The participant's study must be loaded, and the caller must hold the processing claim.
    """
    if days is not None and not days:
        return
    zone = participant.study.zone
    parameters: dict[str, Any] = {"participant": participant.id, "study": participant.study_id, "zone": zone.key}
    which = ""
    if days is not None:
        first, last = (_midnight(d, zone) for d in (min(days), max(days) + timedelta(days=1)))
        parameters |= {"days": sorted(days), "first": first, "last": last}
        which = " AND day = ANY(:days)"
    session.execute(sa.text(f"{_DELETE}{which}"), parameters)
    session.execute(_SUMS_OF_DAYS if days is not None else _SUMS_OF_ALL, parameters)


_DELETE = "DELETE FROM daily_statistics WHERE participant_id = :participant"


def _sums(condition: str) -> sa.TextClause:
    sums = [
        f"sum(size_bytes) FILTER (WHERE stream = {SPECS[stream].number}) AS {name}" for stream, name in BYTES_OF.items()
    ]
    # Naming the streams lets the index on participant, stream and time answer, however much there is of other days.
    numbers = ", ".join(str(spec.number) for spec in SPECS.values())
    statement = [
        "INSERT INTO daily_statistics (participant_id, day, study_id,",
        ", ".join(BYTES_OF.values()),
        ")",
        "SELECT :participant, CAST(timezone(:zone, time_bin) AS date) AS day, :study,",
        ", ".join(sums),
        "FROM chunks WHERE participant_id = :participant AND stream IN (",
        numbers,
        ")",
        condition,
        "GROUP BY day",
    ]
    return sa.text(" ".join(statement))


_SUMS_OF_ALL = _sums("")
_SUMS_OF_DAYS = _sums(
    " AND time_bin >= :first AND time_bin < :last AND CAST(timezone(:zone, time_bin) AS date) = ANY(:days)"
)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)
