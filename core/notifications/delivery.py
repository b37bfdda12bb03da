"""Chooses the token and the service for a push, and sends it (NOTIF-34)."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import PushService, PushToken
from core.notifications.credentials import apns_key, service_account
from core.notifications.messages import Message
from core.notifications.outcomes import Fate, Outcome
from core.notifications.senders.apns import ApnsSender
from core.notifications.senders.apns_connection import gateway_at
from core.notifications.senders.fcm import FcmSender

SECONDS = 10  # a phone waits 15 s (PHONE-13), and name resolution has no time-out
NO_TOKEN = Outcome(Fate.NO_TOKEN, "The phone has told this server no push token.")
NOT_CONFIGURED = Outcome(Fate.NOT_CONFIGURED, "This server has no credentials for sending push notifications.")


@dataclass(frozen=True, repr=False)
class Route:
    """A token, and the sender to use for it."""

    sender: FcmSender | ApnsSender
    token: str


def route_to(session: Session, participant_id: int, fcm_url: str, apns_url: str | None = None) -> Route | Outcome:
    """The participant's route, Apple before Firebase, or the outcome that says why there is none (NOTIF-33)."""
    tokens = _tokens_in_use(session, participant_id)
    if not tokens:
        return NO_TOKEN
    if PushService.APNS in tokens and (key := apns_key(session)):
        return Route(ApnsSender(key, gateway_at(apns_url)), tokens[PushService.APNS])
    if PushService.FCM in tokens and (account := service_account(session)):
        return Route(FcmSender(account, fcm_url), tokens[PushService.FCM])
    return NOT_CONFIGURED


def send_in_time(route: Route, message: Message) -> Outcome:
    """Sends while a caller waits for the answer. Returns within ten seconds, whatever the service does."""
    executor = ThreadPoolExecutor(1)
    try:
        return executor.submit(route.sender.send, route.token, message).result(SECONDS)
    except TimeoutError:
        return Outcome(Fate.UNREACHABLE, "The push service does not answer.")
    finally:
        executor.shutdown(wait=False)


def _tokens_in_use(session: Session, participant_id: int) -> dict[PushService, str]:
    query = sa.select(PushToken.service, PushToken.token)
    rows = session.execute(query.where(PushToken.participant_id == participant_id, PushToken.retired_at.is_(None)))
    return {PushService(service): token for service, token in rows.tuples()}
