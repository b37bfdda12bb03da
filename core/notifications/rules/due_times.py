"""Between which scheduled times an event is certainly due, and where its exact time must be looked at (NOTIF-21).

A database cannot be asked for wall-clock times: of a time that exists twice it takes the second, and it may not know a
zone that a phone reported. So it gets, for each pair of zones, a bracket of scheduled times.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

# Clocks of two zones differ by at most 26 hours, and a change of a clock can skip or repeat a day.
NEAR = timedelta(hours=50)
EXACT_WITHIN = timedelta(hours=24)
"""Where both ends of a bracket are the same, all events scheduled this near count as much later or earlier."""
_STEP = timedelta(hours=1)


@dataclass(frozen=True)
class Bracket:
    """Events scheduled up to `surely` are due; of later ones those up to `perhaps` may be, and others are not."""

    surely: datetime
    perhaps: datetime


def bracket(study_zone: ZoneInfo, participant_zone: ZoneInfo, now: datetime) -> Bracket:
    """The bracket of a pair of zones at this moment. Both ends are the same while no clock changes nearby."""
    if study_zone.key == participant_zone.key and not _changes(study_zone, now):
        return Bracket(now, now)
    behind = [
        there - here for here in _offsets(study_zone, now) for there in _offsets(participant_zone, now)
    ]  # what the participant's clock is ahead of the study's
    if len(behind) == 1:
        exact = now + behind[0]
        return Bracket(exact, exact)
    # A wall-clock time that is skipped or exists twice moves by as much as the offsets differ.
    spread = max(behind) - min(behind)
    return Bracket(now + min(behind) - spread, now + max(behind) + spread)


def _changes(zone: ZoneInfo, now: datetime) -> bool:
    return len(_offsets(zone, now)) > 1


def _offsets(zone: ZoneInfo, now: datetime) -> frozenset[timedelta]:
    """The zone's offsets from two days before to two days after this hour."""
    return _offsets_of_hour(zone, now.astimezone(UTC).replace(minute=0, second=0, microsecond=0))


@lru_cache(maxsize=4_096)
def _offsets_of_hour(zone: ZoneInfo, hour: datetime) -> frozenset[timedelta]:
    moments = (hour - NEAR + n * _STEP for n in range(2 * NEAR // _STEP + 1))
    return frozenset(moment.astimezone(zone).utcoffset() or timedelta() for moment in moments)
