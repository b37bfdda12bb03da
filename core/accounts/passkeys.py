"""Passkeys as a second factor (PORTAL-54, W3C Web Authentication level 3), through the library `webauthn`.

A browser finds the passkeys of this site by itself, so the challenge at sign-in names no account.
"""

import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from core.accounts.second_factor import Proof
from core.audit import Actor, record
from core.models import Passkey, RecoveryCode, Researcher, UsedChallenge
from core.models.audit_record import Action

CHALLENGE_GOOD_FOR = timedelta(minutes=5)
LONGEST_NAME = 60
MOST_PASSKEYS = 20
MOST_JSON_CHARACTERS = 16_384


class PasskeyRefused(Exception):
    """What the browser sent is no passkey for this challenge; the message may be shown."""


@dataclass(frozen=True)
class Site:
    """What passkeys are bound to: the host name, and the origin such as `https://beiwe.example.org`."""

    host: str
    origin: str


@dataclass(frozen=True)
class _PasskeyProof(Proof):
    passkey_id: int
    sign_count: int
    challenge: bytes

    def use(self, session: Session, now: datetime) -> bool:
        """Accepts each challenge once. Stores the authenticator's counter."""
        session.execute(sa.delete(UsedChallenge).where(UsedChallenge.used_at < now - 2 * CHALLENGE_GOOD_FOR))
        hashed = hashlib.sha256(self.challenge).digest()
        used = session.execute(
            sa.dialects.postgresql.insert(UsedChallenge)
            .values(challenge_hash=hashed, used_at=now)
            .on_conflict_do_nothing()
        )
        values = {"sign_count": self.sign_count, "last_used_at": now}
        session.execute(sa.update(Passkey).where(Passkey.id == self.passkey_id).values(values))
        return bool(used.rowcount)  # type: ignore[attr-defined]  # the result of an INSERT has it


def new_challenge() -> bytes:
    """32 random bytes."""
    return secrets.token_bytes(32)


def options_to_prove(site: Site, challenge: bytes) -> str:
    """What the browser needs to answer the challenge with a passkey of this site, as JSON."""
    return options_to_json(
        generate_authentication_options(
            rp_id=site.host, challenge=challenge, user_verification=UserVerificationRequirement.PREFERRED
        )
    )


def check_passkey(session: Session, researcher: Researcher, answer: str, challenge: bytes, site: Site) -> Proof | None:
    """The proof by the browser's answer (JSON) to the challenge; None if it is not of a passkey of this person."""
    passkey = _named_passkey(session, researcher, answer)
    if passkey is None:
        return None
    try:
        verified = verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=site.host,
            expected_origin=site.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError):
        return None
    return _PasskeyProof(passkey.id, verified.new_sign_count, challenge)


def options_to_add(session: Session, researcher: Researcher, site: Site, challenge: bytes) -> str:
    """What the browser needs to make a passkey for this account, as JSON. Raises PasskeyRefused beyond twenty."""
    present = passkeys_of(session, researcher)
    if len(present) >= MOST_PASSKEYS:
        raise PasskeyRefused(f"An account has at most {MOST_PASSKEYS} passkeys. Remove one first.")
    return options_to_json(
        generate_registration_options(
            rp_id=site.host,
            rp_name="Beiwe",
            user_name=researcher.username,
            user_id=hashlib.sha256(f"{site.host}:{researcher.id}".encode()).digest(),
            challenge=challenge,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.PREFERRED,
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=passkey.credential_id) for passkey in present],
        )
    )


def add_passkey(
    session: Session,
    researcher: Researcher,
    name: str,
    answer: str,
    challenge: bytes,
    site: Site,
    *,
    actor: Actor,
) -> Passkey:
    """Adds the passkey that the browser made (JSON) under a name; the caller commits. Raises PasskeyRefused."""
    try:
        transports = _parsed(answer).get("response", {}).get("transports") or []
        made = verify_registration_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=site.host,
            expected_origin=site.origin,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError, AttributeError):
        raise PasskeyRefused("The browser's answer does not fit. Try again.") from None
    if session.scalar(sa.select(Passkey.id).where(Passkey.credential_id == made.credential_id)):
        raise PasskeyRefused("This passkey is in use already.")
    passkey = Passkey(
        researcher_id=researcher.id,
        credential_id=made.credential_id,
        public_key=made.credential_public_key,
        sign_count=made.sign_count,
        transports=[str(transport)[:20] for transport in transports][:10],
        name=checked_name(name),
    )
    session.add(passkey)
    record(session, actor, Action.RESEARCHER_SECOND_FACTOR, username=researcher.username, after="passkey")
    return passkey


def checked_name(name: str) -> str:
    """The name of a passkey, without blanks around it. Raises PasskeyRefused if it is empty or too long."""
    name = " ".join(name.split())
    if not name or len(name) > LONGEST_NAME:
        raise PasskeyRefused(f"Give it a name of up to {LONGEST_NAME} characters, such as the device's.")
    return name


def passkeys_of(session: Session, researcher: Researcher) -> list[Passkey]:
    """The person's passkeys, oldest first."""
    query = sa.select(Passkey).where(Passkey.researcher_id == researcher.id).order_by(Passkey.id)
    return list(session.scalars(query))


def remove_passkey(session: Session, researcher: Researcher, passkey_id: int, *, actor: Actor) -> bool:
    """Removes a passkey of this person, and recovery codes with the last factor; False if it is not theirs."""
    own = sa.and_(Passkey.id == passkey_id, Passkey.researcher_id == researcher.id)
    removed = session.execute(sa.delete(Passkey).where(own))
    if not removed.rowcount:  # type: ignore[attr-defined]  # the result of a DELETE has it
        return False
    if researcher.totp_enabled_at is None and not passkeys_of(session, researcher):
        session.execute(sa.delete(RecoveryCode).where(RecoveryCode.researcher_id == researcher.id))
    record(session, actor, Action.RESEARCHER_SECOND_FACTOR, username=researcher.username, before="passkey")
    return True


def _named_passkey(session: Session, researcher: Researcher, answer: str) -> Passkey | None:
    try:
        credential_id = base64url_to_bytes(_parsed(answer)["id"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    own = sa.and_(Passkey.credential_id == credential_id, Passkey.researcher_id == researcher.id)
    return session.scalar(sa.select(Passkey).where(own))


def _parsed(answer: str) -> dict[str, Any]:
    """The answer's JSON object. Raises ValueError."""
    if len(answer) > MOST_JSON_CHARACTERS:
        raise ValueError("too long")
    try:
        parsed = json.loads(answer)
    except RecursionError:
        raise ValueError("too deeply nested") from None
    if not isinstance(parsed, dict):
        raise ValueError("not an object")
    return parsed
