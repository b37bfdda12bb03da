"""Links by which a person sets a password, once: invitations and resets (PORTAL-191, CLAR-26)."""

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.database import Model
from core.models.columns import At, CreatedAt, Digest, Id, one_of
from core.models.researcher import Researcher


class LinkKind(StrEnum):
    """What a link is for."""

    INVITATION = "invitation"
    RESET = "reset"


class AccountLink(Model):
    """A link. Only the SHA-256 of its token is stored.

    `account_token` is the researcher's `session_token` when it was made: a changed password, or an account that was
    deactivated meanwhile, ends the link. `maker_name` is who made it, as text, because the link outlives the account.
    """

    __tablename__ = "account_links"

    id: Mapped[Id]
    token_hash: Mapped[Digest] = mapped_column(unique=True)
    researcher_id: Mapped[int] = mapped_column(sa.ForeignKey("researchers.id", ondelete="CASCADE"), index=True)
    account_token: Mapped[str] = mapped_column(sa.Text)
    kind: Mapped[str] = mapped_column(sa.Text)
    maker_name: Mapped[str] = mapped_column(sa.Text)
    made_at: Mapped[CreatedAt]
    expires_at: Mapped[At]
    used_at: Mapped[At | None]
    withdrawn_at: Mapped[At | None]

    researcher: Mapped[Researcher] = relationship(lazy="raise_on_sql")

    __table_args__ = (one_of("kind", LinkKind),)
