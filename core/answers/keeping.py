"""Keeps outcomes current while time passes: events that begin to count, and those whose time to answer ends."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.answers.outcomes import MOST_AT_ONCE, bring_outcomes_up_to_date, miss_expired
from core.clock import check_clock
from core.models import Participant

SLICE_PARTICIPANTS = 1_000


def keep_outcomes(session: Session, now: datetime) -> int:
    """Writes down what has counted by now, a thousand participants to a transaction, and ends what expired; commits.

    Returns how many outcomes changed. It can be stopped anywhere, and run beside processing. Raises ClockLooksWrong.
    """
    check_clock(session)
    changed = last = 0
    while ids := _participants_after(session, last):
        changed += bring_outcomes_up_to_date(session, now, participant_ids=ids)
        session.commit()
        last = ids[-1]
    missed = MOST_AT_ONCE
    while missed == MOST_AT_ONCE:
        missed = miss_expired(session, now)
        session.commit()
        changed += missed
    return changed


def _participants_after(session: Session, last: int) -> list[int]:
    has_phone = (Participant.os_type.is_not(None), Participant.purged_at.is_(None))
    query = sa.select(Participant.id).where(Participant.id > last, *has_phone)
    return list(session.scalars(query.order_by(Participant.id).limit(SLICE_PARTICIPANTS)))
