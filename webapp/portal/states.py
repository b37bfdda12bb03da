"""The states of a participant, in Python for one and in SQL for all; both follow the words of the portal's look."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from core.models import Participant, ParticipantActivity
from webapp.portal.wording import span

Row = sa.Row[Any]
SILENT_AFTER = timedelta(hours=24)


class Show(StrEnum):
    """Which participants a list shows. Purged ones are in none (PORTAL-113)."""

    ALL = "all"
    REPORTING = "reporting"
    SILENT = "silent"
    NOT_REGISTERED = "not_registered"
    RETIRED = "retired"


@dataclass(frozen=True)
class State:
    """A state's word, its mark in the style sheet, and the sentence behind it."""

    word: str
    mark: str
    meaning: str


def state_of(
    who: Participant | sa.Row[Any], activity: ParticipantActivity | sa.Row[Any] | None, now: datetime
) -> State:
    """The participant's state at this moment; both may be the same row of a list."""
    if who.purged_at:
        return State("Purged", "off", "All data were deleted.")
    if who.purge_asked_at:
        return State("Waiting for purge", "off", "All data will be deleted.")
    if who.retired_at:
        return State("Retired", "off", "Uploads are no longer kept.")
    if not who.device_id:
        return State("Not registered", "off", "No phone is registered.")
    last_upload_at = activity.last_upload_at if activity else None
    if last_upload_at and now - last_upload_at < SILENT_AFTER:
        return State("Reporting", "good", "An upload came within 24 hours.")
    since = last_upload_at or (activity.first_registered_at if activity else None)
    meaning = "No upload for 24 hours or more." if last_upload_at else "Registered, and no upload yet."
    return State(f"Silent {span(now - since)}" if since else "Silent", "bad", meaning)


def conditions(now: datetime) -> dict[Show, sa.ColumnElement[bool]]:
    """What a participant left joined with its activity must meet to be shown. None is null for any row."""
    is_retired = sa.or_(Participant.retired_at.is_not(None), Participant.purge_asked_at.is_not(None))
    is_registered = sa.and_(sa.not_(is_retired), Participant.device_id != "")
    reports = sa.func.coalesce(ParticipantActivity.last_upload_at > now - SILENT_AFTER, False)
    return {
        Show.ALL: sa.true(),
        Show.REPORTING: sa.and_(is_registered, reports),
        Show.SILENT: sa.and_(is_registered, sa.not_(reports)),
        Show.NOT_REGISTERED: sa.and_(sa.not_(is_retired), Participant.device_id == ""),
        Show.RETIRED: is_retired,
    }
