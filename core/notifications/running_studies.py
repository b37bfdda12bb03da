"""The studies whose surveys are sent now, with what their pushes depend on, and the zones of their participants."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import AppSettings, EventRebuild, Participant, Study
from core.notifications.rules.due_times import Bracket, bracket
from core.zones import known_zone

_SETTINGS = ("resend_period_minutes", "heartbeat_message", "heartbeat_timer_minutes")


@dataclass(frozen=True)
class RunningStudy:
    """A study that is neither stopped, over nor hidden. Its events may be out of step while it `waits_for_rebuild`."""

    study: Study
    resend_period_minutes: int
    heartbeat_message: str
    heartbeat_timer_minutes: int
    waits_for_rebuild: bool

    def zone_of(self, timezone_name: str | None) -> ZoneInfo:
        """The zone of a participant's phone; the study's while it is unknown (NOTIF-21)."""
        return known_zone(timezone_name) or self.study.zone


def running_studies(session: Session, now: datetime) -> dict[int, RunningStudy]:
    """The running studies by number; one query."""
    query = (
        sa.select(
            Study,
            *(AppSettings.__table__.c[name] for name in _SETTINGS),
            EventRebuild.study_id.is_not(None),
        )
        .join(AppSettings, AppSettings.study_id == Study.id)
        .outerjoin(EventRebuild, EventRebuild.study_id == Study.id)
        .where(Study.hidden_at.is_(None), Study.is_stopped_by_hand.is_(False))
    )
    return {study.id: RunningStudy(study, *rest) for study, *rest in session.execute(query) if not study.is_over(now)}


def brackets(session: Session, studies: Mapping[int, RunningStudy], now: datetime) -> dict[tuple[int, str], Bracket]:
    """By study and zone name (empty where unknown), between which scheduled times events are due; one query."""
    query = sa.select(Participant.study_id, sa.func.coalesce(Participant.timezone_name, "")).distinct()
    rows = session.execute(query.where(Participant.retired_at.is_(None), Participant.study_id.in_(list(studies))))
    return {
        (number, name): bracket(studies[number].study.zone, studies[number].zone_of(name), now) for number, name in rows
    }
