"""Until when a survey that was asked can be answered (NOTIF-24, CLAR-51). Pure."""

from datetime import datetime, timedelta

LEAST_MINUTES = 10
MOST_MINUTES = 31 * 24 * 60


def answerable_until(counts_at: datetime, next_counts_at: datetime | None, expiry_minutes: int) -> datetime:
    """The moment before which an answer is in time: the survey's next event or its expiry, whichever is first.

    `counts_at` is when the event counts on the participant's clock (NOTIF-21), `next_counts_at` when the same survey's
    next event for that participant does, None without one. A next event at the same moment is no other one.
    """
    expires_at = counts_at + timedelta(minutes=expiry_minutes)
    if next_counts_at is None or next_counts_at <= counts_at:
        return expires_at
    return min(next_counts_at, expires_at)
