"""How a participant takes part: pauses, the end of taking part, notes of the study team (CLAR-35, CLAR-36, CLAR-40)."""

from datetime import date
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import At, CreatedAt, Id, one_of


class DepartureKind(StrEnum):
    """Whether a participant stayed to the planned end."""

    COMPLETED = "completed"
    WITHDRAWN = "withdrawn"


class WithdrawalReason(StrEnum):
    """Why a participant withdrew, as CONSORT diagrams group it."""

    OWN_WISH = "own wish"
    BURDEN = "too much effort"
    PRIVACY = "privacy concerns"
    HEALTH = "health"
    PHONE = "phone or technical trouble"
    MOVED = "moved away"
    LOST_CONTACT = "lost contact"
    INVESTIGATOR = "decision of the study team"
    OTHER = "other"


class Departure(Model):
    """The end of taking part (CLAR-35).

    `left_on` is the last day that counts, in the study's zone; `ends_at` the midnight after it, from which on rows are
    dropped and no survey is asked. Uploads are taken until `retire_at`, then the participant is retired. `reason` is
    that of a withdrawal. `trimmed_at` is when hours that had been processed before were removed from the chunks, of
    which `hours_removed` counts the files.
    """

    __tablename__ = "departures"

    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.Text)
    reason: Mapped[str | None] = mapped_column(sa.Text)
    left_on: Mapped[date]
    ends_at: Mapped[At]
    retire_at: Mapped[At] = mapped_column(index=True)
    recorded_at: Mapped[CreatedAt]
    recorded_by: Mapped[str] = mapped_column(sa.Text)
    trimmed_at: Mapped[At | None]
    hours_removed: Mapped[int] = mapped_column(server_default="0")

    __table_args__ = (
        one_of("kind", DepartureKind),
        one_of("reason", WithdrawalReason),
        sa.CheckConstraint("(kind = 'withdrawn') = (reason IS NOT NULL)", name="reason_of_withdrawal"),
    )


class Pause(Model):
    """A time without surveys for one participant; it has no end while `ends_at` is null (CLAR-36)."""

    __tablename__ = "pauses"

    id: Mapped[Id]
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"), index=True)
    starts_at: Mapped[At]
    ends_at: Mapped[At | None]
    made_by: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[CreatedAt]

    __table_args__ = (sa.CheckConstraint("ends_at > starts_at", name="ends_after_start"),)


class Note(Model):
    """What somebody of the study team wrote about a participant."""

    __tablename__ = "participant_notes"

    id: Mapped[Id]
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"))
    at: Mapped[CreatedAt]
    author_name: Mapped[str] = mapped_column(sa.Text)
    text: Mapped[str] = mapped_column(sa.Text)

    __table_args__ = (sa.Index(None, "participant_id", "at"),)
