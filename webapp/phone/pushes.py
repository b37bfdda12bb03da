"""Push tokens (PHONE-60)."""

from flask import Response

from core.database import db
from core.phones.push_tokens import take_push_tokens
from webapp.phone.door import admitted, now, phone_route


@phone_route("/set_fcm_token", methods=["POST"])
def set_fcm_token() -> Response:
    """PHONE-60: 204 whatever the token."""
    participant, form = admitted("last_set_push_token_at")
    take_push_tokens(db.session(), participant, form.fields, now())
    db.session.commit()
    return Response(status=204)
