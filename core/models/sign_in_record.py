"""The log of sign-ins (PORTAL-290)."""

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import CreatedAt, Id


class SignInOutcome(StrEnum):
    """What came of an attempt to sign in, or that a session was ended. New outcomes need no migration."""

    SIGNED_IN = "signed_in"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105  a name
    WRONG_FACTOR = "wrong_factor"
    INACTIVE = "inactive"
    UNKNOWN_NAME = "unknown_name"
    DISABLED = "disabled"
    LOCKED = "locked"
    SIGNED_OUT = "signed_out"


class SignInRecord(Model):
    """One attempt or sign-out.

    `username` and `researcher_id` are those of an account. They are null where no account has the typed name, which
    is not stored, because people type passwords into that field. `browser` is a few words such as `Firefox on macOS`.
    """

    __tablename__ = "sign_in_records"

    id: Mapped[Id]
    at: Mapped[CreatedAt]
    username: Mapped[str | None] = mapped_column(sa.Text)
    researcher_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    outcome: Mapped[str] = mapped_column(sa.Text)
    address: Mapped[str | None] = mapped_column(sa.Text)
    browser: Mapped[str] = mapped_column(sa.String(60))
    request_id: Mapped[str | None] = mapped_column(sa.Text)

    __table_args__ = (
        sa.Index(None, "at", "id"),
        sa.Index(None, "username", "at", "id"),
        sa.Index(None, "outcome", "at", "id"),
        sa.Index(None, "researcher_id", "at", "id"),
    )
