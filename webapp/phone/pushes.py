"""Push tokens, and push notifications that a phone requests for itself (PHONE-60, PHONE-61)."""

from collections.abc import Callable

from flask import Response, current_app

from core.database import db
from core.models import Participant
from core.models.survey import surveys_for_phones
from core.notifications.delivery import route_to, send_in_time
from core.notifications.messages import Message, fake_message, surveys_on_request
from core.notifications.outcomes import Fate, Outcome
from core.phones.authentication import Level
from core.phones.push_tokens import take_push_tokens
from core.streams import Platform
from webapp.phone.answers import RETRY_AFTER_SECONDS, Answer, text_answer
from webapp.phone.blueprint import admitted, authenticated, now, phone_route
from webapp.stores import settings

# 400: phone or server must be set up first. 502: the push service refuses. 503: it may accept later. Never 500.
STATUSES = {
    Fate.NO_TOKEN: 400,
    Fate.NOT_CONFIGURED: 400,
    Fate.UNREGISTERED: 400,
    Fate.FAILED: 502,
    Fate.CREDENTIALS: 502,
    Fate.QUOTA: 503,
    Fate.UNREACHABLE: 503,
}


class NothingToSend(Exception):
    """There is nothing to push; the message says why."""


@phone_route("/set_fcm_token", methods=["POST"])
def set_fcm_token() -> Response:
    """Stores the phone's push token; 204 for any token (PHONE-60)."""
    participant, form = admitted("last_set_push_token_at")
    take_push_tokens(db.session(), participant, form.fields, now())
    db.session.commit()
    return Response(status=204)


@phone_route("/test_notification", methods=["POST"])
def test_notification() -> Response:
    """Sends a test notification to the phone (PHONE-61)."""
    return _push(lambda participant, platform: fake_message(platform))


@phone_route("/send_survey_notification", methods=["POST"])
def send_survey_notification() -> Response:
    """Sends notifications of up to four of the study's surveys, as if they were due (PHONE-61)."""
    return _push(_surveys_now)


def _surveys_now(participant: Participant, platform: Platform) -> Message:
    surveys = [survey.object_id for survey in surveys_for_phones(db.session(), participant.study_id)]
    if not surveys:
        raise NothingToSend("The study has no active surveys.")
    return surveys_on_request(platform, surveys, now())


def _push(message_for: Callable[[Participant, Platform], Message]) -> Response:
    """Sends the message to the requesting phone; 204, or another status with a reason.

    No transaction is open while it is sent (PHONE-17).
    """
    participant, _ = authenticated(Level.FULL)
    db.session.commit()
    route = route_to(db.session(), participant.id, settings().fcm_url, settings().apns_url)
    if isinstance(route, Outcome):
        return _answer(route)
    if participant.os_type is None:
        return text_answer(Answer(400, "The phone has not registered, so its platform is not known."))
    try:
        message = message_for(participant, Platform(participant.os_type))
    except NothingToSend as nothing:
        return text_answer(Answer(400, str(nothing)))
    db.session.commit()
    return _answer(send_in_time(route, message))


def _answer(outcome: Outcome) -> Response:
    if outcome.fate is Fate.DELIVERED:
        return Response(status=204)
    current_app.logger.warning("a push on request was not sent (%s): %s", outcome.fate, outcome.reason)
    answer = text_answer(Answer(STATUSES[outcome.fate], outcome.reason))
    if answer.status_code == 503:
        answer.headers["Retry-After"] = str(outcome.retry_after_seconds or RETRY_AFTER_SECONDS)
    return answer
