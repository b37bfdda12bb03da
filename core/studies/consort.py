"""Who took part, in the counts of a CONSORT diagram (CLAR-40)."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import Departure, DepartureKind, Participant, ParticipantActivity, WithdrawalReason


@dataclass(frozen=True)
class ConsortCounts:
    """Participants of a study, test participants left out.

    `enrolled`, `registered` and `with_data` are steps, each among the one before. At the end each participant is in one
    of: `taking_part` (with `not_registered` among them), `completed`, `withdrawn` (by reason), `retired`, `purged`.
    """

    enrolled: int
    registered: int
    with_data: int
    not_registered: int
    taking_part: int
    completed: int
    withdrawn: dict[str, int]
    retired: int
    purged: int
    tests: int

    def rows(self) -> list[tuple[str, int]]:
        """The counts with their words, in the order of the diagram."""
        return [
            ("Enrolled", self.enrolled),
            ("Registered a phone", self.registered),
            ("Sent data", self.with_data),
            ("Taking part", self.taking_part),
            ("Completed", self.completed),
            ("Withdrawn", sum(self.withdrawn.values())),
            *((f"Withdrawn: {reason}", count) for reason, count in self.withdrawn.items()),
            ("Retired", self.retired),
            ("Purged", self.purged),
        ]


def consort_counts(session: Session, study_id: int) -> ConsortCounts:
    """The study's counts now; one query."""
    is_purged = Participant.purge_asked_at.is_not(None)
    has_left = Departure.participant_id.is_not(None)
    is_retired = sa.and_(~is_purged, ~has_left, Participant.retired_at.is_not(None))
    takes_part = sa.and_(~is_purged, ~has_left, Participant.retired_at.is_(None))
    has_registered = ParticipantActivity.first_registered_at.is_not(None)

    def count(*conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        return sa.func.count().filter(Participant.is_test.is_(False), *conditions)

    completed = sa.and_(~is_purged, Departure.kind == DepartureKind.COMPLETED.value)
    withdrawn = [
        count(~is_purged, Departure.reason == reason.value).label(f"reason_{n}")
        for n, reason in enumerate(WithdrawalReason)
    ]
    row = session.execute(
        sa.select(
            count().label("enrolled"),
            count(has_registered).label("registered"),
            count(ParticipantActivity.last_upload_at.is_not(None)).label("with_data"),
            count(takes_part, ~has_registered).label("not_registered"),
            count(takes_part).label("taking_part"),
            count(completed).label("completed"),
            count(is_retired).label("retired"),
            count(is_purged).label("purged"),
            sa.func.count().filter(Participant.is_test).label("tests"),
            *withdrawn,
        )
        .select_from(Participant)
        .outerjoin(ParticipantActivity)
        .outerjoin(Departure, Departure.participant_id == Participant.id)
        .where(Participant.study_id == study_id)
    ).one()
    reasons = {reason.value: getattr(row, f"reason_{n}") for n, reason in enumerate(WithdrawalReason)}
    return ConsortCounts(
        enrolled=row.enrolled,
        registered=row.registered,
        with_data=row.with_data,
        not_registered=row.not_registered,
        taking_part=row.taking_part,
        completed=row.completed,
        withdrawn={reason: number for reason, number in reasons.items() if number},
        retired=row.retired,
        purged=row.purged,
        tests=row.tests,
    )
