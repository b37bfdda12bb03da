"""When a push without a receipt is sent again (NOTIF-51, NOTIF-54). Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

MOST_RESENDS = 8
LONGEST = timedelta(days=7)


@dataclass(frozen=True)
class Sent:
    """The successful attempts of one event: the first, the newest, and how many there were."""

    first_at: datetime
    last_at: datetime
    count: int


def may_be_sent_again(sent: Sent, now: datetime) -> bool:
    """Whether the event may still go along with another push: at most eight resends, within a week."""
    return sent.count - 1 < MOST_RESENDS and now - sent.first_at < LONGEST


def is_resend_due(sent: Sent, period_minutes: int, now: datetime) -> bool:
    """Whether the period is over. Attempts count from their whole minute, so that resends do not drift."""
    if period_minutes <= 0 or not may_be_sent_again(sent, now):
        return False
    return sent.last_at.replace(second=0, microsecond=0) + timedelta(minutes=period_minutes) <= now
