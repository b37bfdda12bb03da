"""One-time links by which a person sets a password: invitations and resets (PORTAL-191, CLAR-26).

A link is valid for 72 hours. Opening it changes nothing; setting the password uses it up. The token is not stored.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from core.audit import Actor, actor_of, record
from core.models import AccountLink, Researcher
from core.models.account_link import LinkKind
from core.models.audit_record import Action

__all__ = [
    "LinkKind",
    "LinkState",
    "link_of",
    "make_link",
    "newest_link",
    "state_of_link",
    "use_link",
    "withdraw_links",
]

VALID = timedelta(hours=72)


class LinkState(StrEnum):
    """What has become of a link."""

    OPEN = "open"
    USED = "used"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class LinkLine:
    """The newest link of a person, as a page shows it; times are in UTC."""

    kind: LinkKind
    state: LinkState
    maker_name: str
    made_at: datetime
    expires_at: datetime


def make_link(session: Session, researcher: Researcher, kind: LinkKind, now: datetime, *, actor: Actor) -> str:
    """Adds a link, ends the person's earlier ones, and returns the token. The caller commits."""
    _end_open(session, researcher, now)
    token = secrets.token_urlsafe(32)
    session.add(
        AccountLink(
            token_hash=_hashed(token),
            researcher_id=researcher.id,
            account_token=researcher.session_token,
            kind=kind.value,
            maker_name=actor.name,
            made_at=now,
            expires_at=now + VALID,
        )
    )
    record(session, actor, Action.RESEARCHER_LINK, username=researcher.username, kind=kind.value)
    return token


def withdraw_links(session: Session, researcher: Researcher, now: datetime, *, actor: Actor) -> bool:
    """Ends the person's links that were not used. Returns whether there were any. The caller commits."""
    has_ended = _end_open(session, researcher, now)
    if has_ended:
        record(session, actor, Action.RESEARCHER_LINK_WITHDRAW, username=researcher.username)
    return has_ended


def link_of(session: Session, token: str, *, lock: bool = False) -> AccountLink | None:
    """The link of that token with its researcher, or None. `lock` locks the researcher until the transaction ends."""
    is_it = AccountLink.token_hash == _hashed(token)
    if lock:  # the account alone, as every change of an account does, so that two changes cannot deadlock
        number = sa.select(AccountLink.researcher_id).where(is_it).scalar_subquery()
        session.execute(sa.select(Researcher.id).where(Researcher.id == number).with_for_update())
    query = sa.select(AccountLink).where(is_it).options(joinedload(AccountLink.researcher, innerjoin=True))
    return session.scalar(query, execution_options={"populate_existing": lock})


def state_of_link(link: AccountLink, now: datetime) -> LinkState:
    """What has become of the link; its researcher is loaded."""
    researcher = link.researcher
    if link.used_at is not None:
        return LinkState.USED
    is_same = hmac.compare_digest(link.account_token, researcher.session_token)
    if link.withdrawn_at is not None or researcher.is_disabled or not is_same:
        return LinkState.WITHDRAWN
    return LinkState.EXPIRED if now >= link.expires_at else LinkState.OPEN


def newest_link(session: Session, researcher: Researcher, now: datetime) -> LinkLine | None:
    """The newest link of the person, None if there was none; one query."""
    query = sa.select(AccountLink).where(AccountLink.researcher_id == researcher.id)
    query = query.options(joinedload(AccountLink.researcher)).order_by(AccountLink.id.desc()).limit(1)
    link = session.scalar(query)
    if link is None:
        return None
    return LinkLine(LinkKind(link.kind), state_of_link(link, now), link.maker_name, link.made_at, link.expires_at)


def use_link(session: Session, link: AccountLink, password: str, now: datetime) -> None:
    """Sets the person's own password and uses the link up; ends all sessions. The caller locked it and commits.

    Raises ValueError if the link is not open.
    """
    if state_of_link(link, now) is not LinkState.OPEN:
        raise ValueError("the link is not open")
    researcher = link.researcher
    researcher.set_password(password, must_change=False)
    link.used_at = now
    record(session, actor_of(researcher), Action.RESEARCHER_LINK_USE, username=researcher.username, kind=link.kind)


def _end_open(session: Session, researcher: Researcher, now: datetime) -> bool:
    ended = session.execute(
        sa.update(AccountLink)
        .where(
            AccountLink.researcher_id == researcher.id,
            AccountLink.used_at.is_(None),
            AccountLink.withdrawn_at.is_(None),
            AccountLink.expires_at > now,
            AccountLink.account_token == researcher.session_token,
        )
        .values(withdrawn_at=now)
        .returning(AccountLink.id)
    )
    return bool(ended.all())


def _hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
