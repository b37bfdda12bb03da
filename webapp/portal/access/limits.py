"""How often a signed-in person may try something; counted in each process, and never by address (CLAR-11)."""

from flask import session
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address


def session_tried() -> str:
    """The session that asks: others behind its address do not count."""
    return str(session.get("_user_id") or get_remote_address())


limiter = Limiter(session_tried, storage_uri="memory://", strategy="moving-window")
