"""How far a change of app settings has got: which phones have fetched it, and why others likely have not (CLAR-34)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import Participant, ParticipantActivity

PAGE_SIZE = 50


class WhyNot(StrEnum):
    """The likely reason for which a phone lacks a change; the first that holds, in this order (CLAR-34)."""

    NO_REQUEST = "no request"
    """It sent no request of any kind since the change."""
    OLD_APP = "old app"
    """It sends requests, but never one for settings: its app is older than the versions that fetch them."""
    RETIRED = "retired"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Rollout:
    """Registered phones of a study, without test participants and retired ones; `fetched` of `phones` have a change.

    `retired` and `tests` are those that are left out.
    """

    phones: int
    fetched: int
    retired: int
    tests: int

    @property
    def missing(self) -> int:
        return self.phones - self.fetched


@dataclass(frozen=True)
class PhoneWithout:
    """A phone that has not fetched a change; `had_settings_at`: when it was last sent settings, also by registering."""

    patient_id: str
    os_type: str | None
    app_version: str | None
    had_settings_at: datetime | None
    last_request_at: datetime | None
    why: WhyNot


_HAD_SETTINGS_AT = sa.func.greatest(ParticipantActivity.last_settings_at, ParticipantActivity.last_registered_at)
_IS_REGISTERED = sa.and_(Participant.device_id != "", Participant.purged_at.is_(None))
_COUNTS = sa.and_(Participant.is_test.is_(False), Participant.retired_at.is_(None))


def rollouts_of(session: Session, study_id: int, changed_at: Sequence[datetime]) -> list[Rollout]:
    """For each of the changes, how many phones have it or a newer one; one query over the study's participants."""
    is_test, is_retired = Participant.is_test, Participant.retired_at.is_not(None)
    row = session.execute(
        sa.select(
            sa.func.count().filter(_COUNTS).label("phones"),
            sa.func.count().filter(is_retired, sa.not_(is_test)).label("retired"),
            sa.func.count().filter(is_test).label("tests"),
            *(
                sa.func.count().filter(_COUNTS, at <= _HAD_SETTINGS_AT).label(f"fetched_{n}")
                for n, at in enumerate(changed_at)
            ),
        )
        .select_from(Participant)
        .outerjoin(ParticipantActivity, ParticipantActivity.participant_id == Participant.id)
        .where(Participant.study_id == study_id, _IS_REGISTERED)
    ).one()
    return [Rollout(row.phones, fetched, row.retired, row.tests) for fetched in row[3:]]


def rollout_of(session: Session, study_id: int, changed_at: datetime) -> Rollout:
    """How many phones have the settings of that time or newer ones; one query."""
    return rollouts_of(session, study_id, [changed_at])[0]


def phones_without(
    session: Session, study_id: int, changed_at: datetime, page: int = 1
) -> tuple[list[PhoneWithout], bool]:
    """One page of the phones that lack a change, retired ones last, and whether there are more; one query.

    Test participants are left out. Pages count from 1 and have 50 phones; those that lack it longest come first.
    """
    rows = session.execute(
        sa.select(
            Participant.patient_id,
            Participant.os_type,
            Participant.retired_at,
            ParticipantActivity.last_version_name,
            ParticipantActivity.last_settings_at,
            ParticipantActivity.last_activity_at,
            _HAD_SETTINGS_AT.label("had_settings_at"),
        )
        .outerjoin(ParticipantActivity, ParticipantActivity.participant_id == Participant.id)
        .where(
            Participant.study_id == study_id,
            _IS_REGISTERED,
            Participant.is_test.is_(False),
            sa.or_(_HAD_SETTINGS_AT.is_(None), changed_at > _HAD_SETTINGS_AT),
        )
        .order_by(Participant.retired_at.is_not(None), _HAD_SETTINGS_AT.asc().nulls_first(), Participant.patient_id)
        .offset((page - 1) * PAGE_SIZE)
        .limit(PAGE_SIZE + 1)
    ).all()
    phones = [
        PhoneWithout(
            patient_id=row.patient_id,
            os_type=row.os_type,
            app_version=row.last_version_name,
            had_settings_at=row.had_settings_at,
            last_request_at=row.last_activity_at,
            why=why_not(changed_at, row.last_activity_at, row.last_settings_at, row.retired_at),
        )
        for row in rows[:PAGE_SIZE]
    ]
    return phones, len(rows) > PAGE_SIZE


def why_not(
    changed_at: datetime,
    last_request_at: datetime | None,
    last_settings_at: datetime | None,
    retired_at: datetime | None,
) -> WhyNot:
    """Why a phone that has not fetched a change likely has not (CLAR-34)."""
    if last_request_at is None or last_request_at < changed_at:
        return WhyNot.NO_REQUEST
    if last_settings_at is None:
        return WhyNot.OLD_APP
    return WhyNot.RETIRED if retired_at else WhyNot.UNKNOWN
