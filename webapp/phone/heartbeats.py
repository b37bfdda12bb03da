"""Heartbeats: requests by which a phone shows that the app still runs (PHONE-59)."""

from flask import Response
from sqlalchemy.dialects.postgresql import insert

from core.database import db
from core.models import Heartbeat
from webapp.phone.blueprint import admitted, phone_route

MOST_MESSAGE_CHARACTERS = 10_000


@phone_route("/mobile-heartbeat")
def mobile_heartbeat() -> Response:
    """Stores a heartbeat and its message, cut to 10,000 characters (PHONE-59)."""
    participant, form = admitted("last_heartbeat_at")
    db.session.execute(
        insert(Heartbeat).values(
            participant_id=participant.id,
            at=participant.activity.last_heartbeat_at,
            message=form.fields.get("message", "")[:MOST_MESSAGE_CHARACTERS] or None,
        )
    )
    db.session.commit()
    return Response(status=200)
