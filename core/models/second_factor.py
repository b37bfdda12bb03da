"""Second factors of researchers: recovery codes and passkeys. The secret of codes is a column of the account."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import At, CreatedAt, Digest, Id


class RecoveryCode(Model):
    """A code for one sign-in without the phone (PORTAL-54).

    `code_hash` is a salt of 16 bytes, and the SHA-256 over it, the account's number and the code. Older rows
    have no salt.
    """

    __tablename__ = "recovery_codes"

    id: Mapped[Id]
    researcher_id: Mapped[int] = mapped_column(sa.ForeignKey("researchers.id", ondelete="CASCADE"), index=True)
    code_hash: Mapped[Digest]
    used_at: Mapped[At | None]

    __table_args__ = (sa.UniqueConstraint("researcher_id", "code_hash"),)


class Passkey(Model):
    """A WebAuthn credential of a researcher (W3C Web Authentication, level 3).

    `public_key` is the COSE key. `sign_count` is the authenticator's counter at its last use; many leave it at 0.
    """

    __tablename__ = "passkeys"

    id: Mapped[Id]
    researcher_id: Mapped[int] = mapped_column(sa.ForeignKey("researchers.id", ondelete="CASCADE"), index=True)
    credential_id: Mapped[bytes] = mapped_column(sa.LargeBinary, unique=True)
    public_key: Mapped[bytes] = mapped_column(sa.LargeBinary)
    sign_count: Mapped[int] = mapped_column(sa.BigInteger)
    transports: Mapped[list[str]] = mapped_column(ARRAY(sa.Text))
    name: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[CreatedAt]
    last_used_at: Mapped[At | None]


class UsedChallenge(Model):
    """The SHA-256 of a passkey challenge that was answered. It is not accepted again while it is valid."""

    __tablename__ = "used_challenges"

    challenge_hash: Mapped[Digest] = mapped_column(primary_key=True)
    used_at: Mapped[At] = mapped_column(index=True)
