"""Rate limits for signed-in people, counted in each process by session, not by address (CLAR-11)."""

from flask import session
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address


def limited_session() -> str:
    """The key to count by: the session, so that others at the same address do not count; else the address."""
    return str(session.get("_user_id") or get_remote_address())


limiter = Limiter(limited_session, storage_uri="memory://", strategy="moving-window")
