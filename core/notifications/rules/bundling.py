"""Which events go into one message, what replaces what on the phone, and until when it lives (CLAR-60, NOTIF-35).

Android fires each survey by itself, so it gets one message for each survey. iOS gets one for the participant.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from core.streams import Platform

LEAST_LIFE = timedelta(minutes=10)
_KEY_CHARACTERS = 32  # Apple takes 64 bytes


class AskedEvent(NamedTuple):
    """An event that a message may carry. `counts_at` and `answerable_until` are moments of the participant's clock.

    `kind` is that of its attempts. `is_due` is false where it only goes along with others; `was_sent` where an attempt
    was accepted before.
    """

    event_id: int
    survey_id: int
    survey_object_id: str
    kind: str
    scheduled_at: datetime
    uuid: UUID | None
    counts_at: datetime
    answerable_until: datetime
    is_due: bool = True
    was_sent: bool = False


@dataclass(frozen=True)
class Bundle:
    """One message: its events in the order of their times, what it replaces, until when it is worth delivering."""

    events: tuple[AskedEvent, ...]
    collapse_key: str
    expires_at: datetime

    @property
    def uuids(self) -> dict[str, list[str]]:
        """Survey ids with the uuids of their events, as a message carries them (NOTIF-30)."""
        found: dict[str, list[str]] = {}
        for event in self.events:
            found.setdefault(event.survey_object_id, []).extend([str(event.uuid)] if event.uuid else [])
        return found

    @property
    def earliest(self) -> datetime:
        return self.events[0].scheduled_at

    @property
    def due_at(self) -> datetime:
        """When the newest of its events that are due counted."""
        return max(event.counts_at for event in self.events if event.is_due)


def bundles(
    platform: Platform, patient_id: str, events: Iterable[AskedEvent], now: datetime, *, carries_unconfirmed: bool
) -> list[Bundle]:
    """The messages for one participant. Nothing is sent unless one of the events is due.

    `carries_unconfirmed`: the events include all that are unconfirmed, so the message can replace every earlier one.
    """
    listed = sorted(events, key=lambda event: (event.scheduled_at, event.event_id))
    if platform is Platform.ANDROID:
        by_survey: dict[str, list[AskedEvent]] = {}
        for event in listed:
            by_survey.setdefault(event.survey_object_id, []).append(event)
        groups = [(survey, some) for survey, some in by_survey.items() if any(event.is_due for event in some)]
        return [_bundle(some, survey, now) for survey, some in groups]
    if not any(event.is_due for event in listed):
        return []
    surveys = () if carries_unconfirmed else sorted({event.survey_object_id for event in listed})
    return [_bundle(listed, collapse_key(patient_id, surveys), now)]


def collapse_key(patient_id: str, surveys: Sequence[str] = (), about: str = "surveys") -> str:
    """A key under which messages replace each other on one phone; it tells the service nothing (NOTIF-35)."""
    return sha256("\0".join((about, patient_id, *surveys)).encode()).hexdigest()[:_KEY_CHARACTERS]


def _bundle(events: list[AskedEvent], key: str, now: datetime) -> Bundle:
    lives_until = max(event.answerable_until for event in events)
    return Bundle(tuple(events), key, max(lives_until, now + LEAST_LIFE))
