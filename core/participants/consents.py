"""Which version of the consent texts phones were sent (CLAR-31). Phones may show it later, or never."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import ConsentSent, ConsentVersion, Participant


@dataclass(frozen=True)
class SentConsent:
    """A registration of a participant's phone was answered with this version of the study's consent texts."""

    number: int
    sent_at: datetime
    author_name: str
    written_at: datetime


def record_consent_sent(session: Session, participant: Participant, now: datetime) -> None:
    """Adds that the study's newest consent version goes out with a registration, in one statement; does not commit."""
    newest = (
        sa.select(sa.literal(participant.id), ConsentVersion.id, sa.literal(now, sa.DateTime(timezone=True)))
        .where(ConsentVersion.study_id == participant.study_id)
        .order_by(ConsentVersion.number.desc())
        .limit(1)
    )
    columns = ("participant_id", "consent_version_id", "sent_at")
    session.execute(sa.insert(ConsentSent).from_select(columns, newest))


def consents_of(session: Session, participant_id: int) -> list[SentConsent]:
    """The versions that were sent to the participant's phones, newest first; one indexed query."""
    rows = session.execute(
        sa.select(ConsentVersion.number, ConsentSent.sent_at, ConsentVersion.author_name, ConsentVersion.at)
        .join(ConsentVersion, ConsentVersion.id == ConsentSent.consent_version_id)
        .where(ConsentSent.participant_id == participant_id)
        .order_by(ConsentSent.sent_at.desc(), ConsentSent.id.desc())
    )
    return [SentConsent(*row) for row in rows]
