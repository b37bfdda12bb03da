"""The states of participants: in Python for one participant, in SQL for all of a study."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

import sqlalchemy as sa

from core.models import Departure, Participant, ParticipantActivity, Pause

SILENT_AFTER = timedelta(hours=24)


class Show(StrEnum):
    """Filters of the list of participants. No filter shows purged ones (PORTAL-113)."""

    ALL = "all"
    REPORTING = "reporting"
    SILENT = "silent"
    NOT_REGISTERED = "not_registered"
    PAUSED = "paused"
    LEFT = "left"
    """Withdrew or completed the study, and is not retired yet."""
    RETIRED = "retired"


class StateKind(StrEnum):
    """The kinds of state of a participant."""

    PURGED = "purged"
    PURGE_ASKED = "purge_asked"
    RETIRED = "retired"
    NOT_REGISTERED = "not_registered"
    REPORTING = "reporting"
    """The last upload came within 24 hours."""
    SILENT = "silent"
    """Registered, and no upload for 24 hours, or none yet."""


@dataclass(frozen=True)
class State:
    """A state. For a silent participant: since when nothing came, and whether there were uploads before."""

    kind: StateKind
    silent_since: datetime | None = None
    has_uploaded: bool = False


class ParticipantTimes(Protocol):
    """The columns of a participant that decide its state."""

    purged_at: datetime | None
    purge_asked_at: datetime | None
    retired_at: datetime | None
    device_id: str


class ActivityTimes(Protocol):
    """The columns of a participant's activity that decide its state."""

    last_upload_at: datetime | None
    first_registered_at: datetime | None


def state_of(who: ParticipantTimes, activity: ActivityTimes | None, now: datetime) -> State:
    """The participant's state at this moment."""
    if who.purged_at:
        return State(StateKind.PURGED)
    if who.purge_asked_at:
        return State(StateKind.PURGE_ASKED)
    if who.retired_at:
        return State(StateKind.RETIRED)
    if not who.device_id:
        return State(StateKind.NOT_REGISTERED)
    last_upload_at = activity.last_upload_at if activity else None
    if last_upload_at and now - last_upload_at < SILENT_AFTER:
        return State(StateKind.REPORTING)
    since = last_upload_at or (activity.first_registered_at if activity else None)
    return State(StateKind.SILENT, since, last_upload_at is not None)


def conditions(now: datetime) -> dict[Show, sa.ColumnElement[bool]]:
    """For each filter, the condition on a participant outer-joined with its activity. None evaluates to NULL.

    Who is paused or has left is among the reporting or silent, too.
    """
    is_retired = sa.or_(Participant.retired_at.is_not(None), Participant.purge_asked_at.is_not(None))
    is_registered = sa.and_(sa.not_(is_retired), Participant.device_id != "")
    # IN, which counts of a whole study hash once; EXISTS would look up each participant.
    has_left = Participant.id.in_(sa.select(Departure.participant_id))
    lasts = sa.and_(Pause.starts_at <= now, sa.or_(Pause.ends_at.is_(None), Pause.ends_at > now))
    is_paused = Participant.id.in_(sa.select(Pause.participant_id).where(lasts))
    reports = sa.func.coalesce(ParticipantActivity.last_upload_at > now - SILENT_AFTER, False)
    return {
        Show.ALL: sa.true(),
        Show.REPORTING: sa.and_(is_registered, reports),
        Show.SILENT: sa.and_(is_registered, sa.not_(reports)),
        Show.NOT_REGISTERED: sa.and_(sa.not_(is_retired), Participant.device_id == ""),
        Show.PAUSED: sa.and_(sa.not_(is_retired), is_paused),
        Show.LEFT: sa.and_(sa.not_(is_retired), has_left),
        Show.RETIRED: is_retired,
    }
