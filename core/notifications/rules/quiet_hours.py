"""Quiet hours on the participant's clock (CLAR-54). Pure."""

from datetime import datetime, time
from zoneinfo import ZoneInfo


def is_quiet(now: datetime, zone: ZoneInfo, begins: time | None, ends: time | None) -> bool:
    """Whether the clock of the zone is between the two times; they may span midnight. Never if one is missing.

    The first minute belongs to the quiet hours, the last does not. Equal times mean the whole day.
    """
    if begins is None or ends is None:
        return False
    clock = now.astimezone(zone).time()
    if begins < ends:
        return begins <= clock < ends
    return clock >= begins or clock < ends
