"""Portal sessions in the database, so that ending one disables every copy of its cookie (PORTAL-27, PORTAL-29)."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from core.audit import Actor, record
from core.models import PortalSession, Researcher
from core.models.audit_record import Action

SEEN_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class SessionLimits:
    """How long a session lasts without requests, and at most."""

    idle: timedelta
    most: timedelta


@dataclass(frozen=True)
class SeenFrom:
    """Where a session was begun: the client's address, and its browser in a few words."""

    address: str = ""
    browser: str = ""


def begin_session(
    session: Session,
    researcher: Researcher,
    now: datetime,
    limits: SessionLimits,
    seen_from: SeenFrom = SeenFrom(),
) -> str:
    """Adds a session, deletes outdated ones, and returns the token, which is not stored. The caller commits."""
    token = secrets.token_urlsafe(32)
    session.execute(sa.delete(PortalSession).where(PortalSession.started_at < now - limits.most))
    session.add(
        PortalSession(
            token_hash=_hashed(token),
            researcher_id=researcher.id,
            account_token=researcher.session_token,
            started_at=now,
            seen_at=now,
            address=seen_from.address,
            browser=seen_from.browser,
        )
    )
    session.flush()
    return token


def session_of(session: Session, token: str, now: datetime, limits: SessionLimits) -> PortalSession | None:
    """The session of this token with its researcher loaded, in one query.

    Returns None if the session has ended, was idle too long or is too old, or if the account is disabled.
    """
    query = sa.select(PortalSession).where(PortalSession.token_hash == _hashed(token))
    found = session.scalar(query.options(joinedload(PortalSession.researcher)))
    if found is None or found.seen_at < now - limits.idle or found.started_at < now - limits.most:
        return None
    researcher = found.researcher
    if researcher.is_disabled or not hmac.compare_digest(researcher.session_token, found.account_token):
        return None
    return found


def note_seen(session: Session, found: PortalSession, now: datetime) -> bool:
    """Records a request of the session, at most once a minute. Returns whether there is a change to commit."""
    if now - found.seen_at < SEEN_EVERY:
        return False
    found.seen_at = now
    return True


def sessions_of(session: Session, researcher: Researcher, now: datetime, limits: SessionLimits) -> list[PortalSession]:
    """The person's sessions that have not ended, the latest seen first (PORTAL-63)."""
    query = sa.select(PortalSession).where(
        PortalSession.researcher_id == researcher.id,
        PortalSession.account_token == researcher.session_token,
        PortalSession.seen_at >= now - limits.idle,
        PortalSession.started_at >= now - limits.most,
    )
    return list(session.scalars(query.order_by(PortalSession.seen_at.desc(), PortalSession.id.desc())))


def end_sessions_of(
    session: Session, researcher: Researcher, *, actor: Actor, only: int | None = None, but: int | None = None
) -> int:
    """Ends sessions of this person: the one with the number `only`, or all except `but`. Returns how many ended.

    The caller commits.
    """
    of_person = sa.delete(PortalSession).where(PortalSession.researcher_id == researcher.id)
    if only is not None:
        of_person = of_person.where(PortalSession.id == only)
    if but is not None:
        of_person = of_person.where(PortalSession.id != but)
    ended: int = session.execute(of_person).rowcount  # type: ignore[attr-defined]  # the result of a DELETE has it
    if ended:
        record(session, actor, Action.RESEARCHER_SESSIONS, username=researcher.username, ended=ended)
    return ended


def end_session(session: Session, token: str) -> None:
    """Ends the session of this token, for every copy of its cookie; the caller commits."""
    session.execute(sa.delete(PortalSession).where(PortalSession.token_hash == _hashed(token)))


def _hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
