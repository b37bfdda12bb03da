"""The clock of everybody of a study in one zone, and what it says at this moment; made once for each such pair."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from core.notifications.rules.due_times import EXACT_WITHIN, Bracket
from core.notifications.rules.quiet_hours import is_quiet
from core.notifications.running_studies import RunningStudy
from core.surveys.schedules import counts_as

MOST_BETWEEN_ZONES = timedelta(hours=27)


@dataclass(frozen=True, slots=True)
class Clock:
    """The study, the participants' zone, and whether it is a quiet hour there or resends rest.

    `shift` is by how much later than scheduled an event counts, while no clock of the two zones changes nearby; null
    where each event must be computed.
    """

    study: RunningStudy
    zone: ZoneInfo
    now: datetime
    shift: timedelta | None
    is_quiet: bool
    resends_rest: bool

    def counts_at(self, scheduled_at: datetime) -> datetime:
        """The time that counts (NOTIF-21)."""
        if self.shift is not None and abs(scheduled_at - self.now) <= EXACT_WITHIN:
            return scheduled_at + self.shift
        return counts_as(scheduled_at, self.study.study.zone, self.zone)

    def next_at(self, scheduled_at: datetime, next_at: datetime | None, expiry_minutes: int) -> datetime | None:
        """When the survey's next event counts; None also where it is so late that the expiry ends it before."""
        if next_at is None or next_at - scheduled_at > timedelta(minutes=expiry_minutes) + MOST_BETWEEN_ZONES:
            return None
        return self.counts_at(next_at)


def clock_of(
    study: RunningStudy, timezone_name: str | None, brackets: Mapping[tuple[int, str], Bracket], now: datetime
) -> Clock:
    """The clock of phones of the study that report this zone."""
    zone, settings = study.zone_of(timezone_name), study.study
    bracket = brackets.get((settings.id, timezone_name or ""))
    shift = now - bracket.perhaps if bracket and bracket.surely == bracket.perhaps else None
    return Clock(
        study,
        zone,
        now,
        shift,
        is_quiet(now, zone, settings.quiet_from, settings.quiet_until),
        is_quiet(now, zone, settings.resends_rest_from, settings.resends_rest_until),
    )
