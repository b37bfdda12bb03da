"""Which of a survey's times lie in the study's quiet hours, in words (CLAR-54)."""

from collections.abc import Iterable
from datetime import time

from core.models import Study
from core.notifications.rules.quiet_hours import is_quiet_time, touches_quiet_hours
from core.surveys.schedules import ScheduleKind
from webapp.portal.surveys.schedule_form import Row
from webapp.portal.surveys.wording import SHORT_DAYS


def quiet_times(rows: Iterable[Row], study: Study) -> list[str]:
    """A text for each row whose time lies in quiet hours, or whose random times may; none without such hours."""
    begins, ends = study.quiet_from, study.quiet_until
    found = []
    for row in rows:
        at, until = _clock(row.at), _clock(row.until)
        if at is None:
            continue
        if row.kind is ScheduleKind.RANDOM:
            if until is not None and touches_quiet_hours(at, until, begins, ends):
                found.append(f"random times from {row.at} to {row.until}")
        elif is_quiet_time(at, begins, ends):
            days = ", ".join(SHORT_DAYS[day] for day in sorted(row.days))
            found.append(" ".join(filter(None, (row.at, days or row.on))))
    return list(dict.fromkeys(found))


def _clock(text: str) -> time | None:
    try:
        return time.fromisoformat(text.strip())
    except ValueError:
        return None
