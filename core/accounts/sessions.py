"""Sessions of the portal, kept in the database: a copy of a cookie ends with its session (PORTAL-27, PORTAL-29)."""

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
    """How long a session lasts without a page being asked for, and at most."""

    idle: timedelta
    most: timedelta


def begin_session(session: Session, researcher: Researcher, now: datetime, limits: SessionLimits) -> str:
    """Adds a session and gives its token, which is nowhere else; removes sessions that are too old; caller commits."""
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
    """The session of that token with its researcher, in one query.

    None where it has ended, was idle too long or is too old, or where the account is disabled.
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
    """Notes that a page was asked for, at most once a minute; whether there is something to commit."""
    if now - found.seen_at < SEEN_EVERY:
        return False
    found.seen_at = now
    return True


def end_session(session: Session, token: str) -> None:
    """Ends it for every copy of its cookie; the caller commits."""
    session.execute(sa.delete(PortalSession).where(PortalSession.token_hash == _hashed(token)))


def _hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
