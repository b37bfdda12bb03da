"""Portal sessions, and failed sign-ins."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.database import Model
from core.models.columns import At, CreatedAt, Digest, Id
from core.models.researcher import Researcher


class PortalSession(Model):
    """A browser that is signed in. The cookie holds a random token, of which only the SHA-256 is kept (PORTAL-27).

    `account_token` is the researcher's `session_token` at sign-in; changing that token ends all sessions (PORTAL-29).
    `seen_at` is when a page was last asked for, to within a minute. `address` and `browser` (in a few words) are those
    of the sign-in.
    """

    __tablename__ = "portal_sessions"

    id: Mapped[Id]
    token_hash: Mapped[Digest] = mapped_column(unique=True)
    researcher_id: Mapped[int] = mapped_column(sa.ForeignKey("researchers.id", ondelete="CASCADE"), index=True)
    account_token: Mapped[str] = mapped_column(sa.Text)
    started_at: Mapped[CreatedAt] = mapped_column(index=True)
    seen_at: Mapped[CreatedAt]
    address: Mapped[str] = mapped_column(sa.Text, server_default="")
    browser: Mapped[str] = mapped_column(sa.Text, server_default="")

    researcher: Mapped[Researcher] = relationship(lazy="raise_on_sql")


class SignInFailures(Model):
    """Failed sign-ins for one name from one source: a browser that has signed in before, or an address (PORTAL-22).

    Unknown names are counted too, so that answers do not reveal which names exist; `name_hash` is the SHA-256 of the
    name. `in_a_row` restarts after a lock; `untold` counts failures that the researcher has not been told of yet.
    """

    __tablename__ = "sign_in_failures"

    name_hash: Mapped[Digest] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    in_a_row: Mapped[int]
    untold: Mapped[int]
    locked_until: Mapped[At | None]
    last_at: Mapped[At] = mapped_column(index=True)
