"""Tokens of sessions (PORTAL-27)."""

from datetime import UTC, datetime, timedelta

from flask import Flask

from core.accounts.sessions import SessionLimits, begin_session
from core.database import db
from core.models import PortalSession
from tests.support.factories import Factory

LIMITS = SessionLimits(idle=timedelta(minutes=30), most=timedelta(hours=12))


def test_session_tokens_are_long_and_differ(app: Flask, factory: Factory):
    """PORTAL-27: 256 bits each, and the database cannot tell them."""
    person = factory.researcher()
    tokens = {begin_session(db.session(), person, datetime.now(UTC), LIMITS) for _ in range(20)}
    db.session.commit()
    assert len(tokens) == 20 and all(len(token) >= 43 for token in tokens)
    stored = db.session.scalars(db.select(PortalSession.token_hash)).all()
    assert not any(token.encode() in bytes(row) for token in tokens for row in stored)
