"""Quiet hours on the participant's clock (CLAR-54). Pure."""

from datetime import datetime, time
from zoneinfo import ZoneInfo


def is_quiet(now: datetime, zone: ZoneInfo, begins: time | None, ends: time | None) -> bool:
    """Whether the clock of the zone is between the two times; they may span midnight. Never if one is missing.

    The first minute belongs to the quiet hours, the last does not. Equal times mean the whole day.
    """
    return is_quiet_time(now.astimezone(zone).time(), begins, ends)


def is_quiet_time(clock: time, begins: time | None, ends: time | None) -> bool:
    """Whether this time of day lies between the two."""
    if begins is None or ends is None:
        return False
    if begins < ends:
        return begins <= clock < ends
    return clock >= begins or clock < ends


def touches_quiet_hours(first: time, last: time, begins: time | None, ends: time | None) -> bool:
    """Whether a window of a day, both its ends included, has a time that lies between the two."""
    if begins is None or ends is None:
        return False
    return is_quiet_time(first, begins, ends) or is_quiet_time(last, begins, ends) or first <= begins <= last
