"""A week with a change of clocks, replayed: what six phones receive, and when by their own clocks (NOTIF-21).

The study's zone is New York, where a survey asks each day at 16:00. The clock is a parameter of the sender, which looks
each quarter of an hour through the real selection and sending, to Firebase's stand-in: what that received counts.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from core.database import db
from core.surveys.schedules import Weekly
from tests.support.pushing import Pushing

ZONES = (
    "America/New_York",
    "America/Sao_Paulo",
    "Europe/London",
    "Asia/Kathmandu",
    "Asia/Tokyo",
    "Australia/Lord_Howe",
)
SUNDAYS = (date(2024, 3, 10), date(2024, 11, 3), date(2024, 3, 31))
"""Clocks change in New York on the first two, in London on the third."""
ASKED_AT = time(16)
DAYS = 7
STEP = timedelta(minutes=15)  # offsets of zones are multiples of it
MARGIN = timedelta(days=1)  # events of the first day must exist before it begins anywhere


@dataclass
class Week:
    """The messages of a week. `received` has for each zone and day of its clock the local times, such as `16:00`.

    `offsets` has the zone's difference from UTC at that time.
    """

    first: date
    received: dict[str, dict[date, list[str]]] = field(default_factory=dict)
    offsets: dict[str, dict[date, str]] = field(default_factory=dict)

    @property
    def days(self) -> list[date]:
        return [self.first + timedelta(days=n) for n in range(DAYS)]

    def table(self) -> str:
        """The week as a table of Markdown; a change of a zone's offset is shown with the time."""
        lines = [
            "| phone's zone | " + " | ".join(f"{day:%a %d %b %Y}" for day in self.days) + " |",
            "|---" * (DAYS + 1) + "|",
        ]
        for zone in ZONES:
            cells = [
                f"{', '.join(self.received[zone].get(day, [])) or '–'} ({self._offset(zone, day)})" for day in self.days
            ]
            lines.append(f"| {zone} | " + " | ".join(cells) + " |")
        return "\n".join(lines)

    def _offset(self, zone: str, day: date) -> str:
        return self.offsets[zone].get(day, "")


def replayed(pushing: Pushing, sunday: date, days: int = DAYS) -> Week:
    """The days around a Sunday on which clocks change: a week, or fewer, with it in the middle.

    The study is stopped afterwards, so that another week can be replayed.
    """
    first = sunday - timedelta(days=days // 2)
    week = Week(first)
    begins = datetime.combine(first, time(), UTC) - MARGIN
    pushing.now = begins
    zone_of = {f"t-{pushing.phone(zone=zone).patient_id}": zone for zone in ZONES}
    pushing.asked(*(Weekly(day, ASKED_AT) for day in range(7)))
    at = begins
    while at < begins + timedelta(days=days) + 2 * MARGIN:
        if at.hour == at.minute == 0:
            pushing.now = at
            pushing.rebuild()
        before = len(pushing.google.messages)
        pushing.look(at)
        for message in pushing.google.messages[before:]:
            _note(week, zone_of[message["token"]], at)
        at += STEP
    pushing.study.is_stopped_by_hand = True
    db.session.commit()
    return week


def _note(week: Week, zone: str, at: datetime) -> None:
    local = at.astimezone(ZoneInfo(zone))
    week.received.setdefault(zone, {}).setdefault(local.date(), []).append(f"{local:%H:%M}")
    offset = f"{local:%z}"
    week.offsets.setdefault(zone, {})[local.date()] = f"{offset[:3]}:{offset[3:]}"
