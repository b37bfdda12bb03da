"""Portal sessions in the database, so that ending one disables every copy of its cookie (PORTAL-27, PORTAL-29)."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from core.models import PortalSession, Researcher

SEEN_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class SessionLimits:
    """How long a session lasts without requests, and at most."""

    idle: timedelta
    most: timedelta


def begin_session(session: Session, researcher: Researcher, now: datetime, limits: SessionLimits) -> str:
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


def end_session(session: Session, token: str) -> None:
    """Ends the session of this token, for every copy of its cookie; the caller commits."""
    session.execute(sa.delete(PortalSession).where(PortalSession.token_hash == _hashed(token)))


def _hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
