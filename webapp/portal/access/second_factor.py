"""The second factor of a request: a typed code, or a browser's answer to a passkey challenge (PORTAL-50).

The challenge is in the signed session cookie for five minutes. `core.accounts.passkeys` accepts each challenge once.
"""

import time
from base64 import b64decode, b64encode
from datetime import datetime
from enum import StrEnum

from flask import request, session

from core.accounts.passkeys import CHALLENGE_GOOD_FOR, Site, check_passkey, new_challenge, passkeys_of
from core.accounts.second_factor import Proof, check_code
from core.database import db
from core.models import Researcher

CHALLENGE = "passkey_challenge"


class Purpose(StrEnum):
    """What a challenge is for. Anybody gets one to prove a passkey; one to add a passkey needs password and factor."""

    PROVE = "prove"
    ADD = "add"


def passkey_site() -> Site:
    """The host and origin that this request is for, to which passkeys are bound."""
    return Site(host=request.host.partition(":")[0], origin=f"{request.scheme}://{request.host}")


def remember_new_challenge(purpose: Purpose) -> bytes:
    """A new challenge, kept in the session cookie; it replaces an earlier one."""
    challenge = new_challenge()
    session[CHALLENGE] = [b64encode(challenge).decode(), int(time.time()), purpose.value]
    return challenge


def take_challenge(purpose: Purpose) -> bytes | None:
    """Removes the challenge from the session cookie and returns it.

    None if there is none, if it was made for another purpose, or after five minutes.
    """
    kept = session.pop(CHALLENGE, None)
    if not kept or kept[2:] != [purpose.value] or time.time() - kept[1] > CHALLENGE_GOOD_FOR.total_seconds():
        return None
    return b64decode(kept[0])


def has_second_factor(researcher: Researcher) -> bool:
    """Whether sign-in asks this person for a second factor."""
    return researcher.totp_enabled_at is not None or bool(passkeys_of(db.session(), researcher))


def shown_factor(researcher: Researcher, code: str, passkey_answer: str, now: datetime) -> Proof | None:
    """The proof by the passkey's answer if there is one, else by the code; None if it is wrong."""
    if passkey_answer:
        challenge = take_challenge(Purpose.PROVE)
        return check_passkey(db.session(), researcher, passkey_answer, challenge, passkey_site()) if challenge else None
    return check_code(db.session(), researcher, code, now)
