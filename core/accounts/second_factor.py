"""Second factors: codes of an authenticator app, and recovery codes (PORTAL-50 to PORTAL-56, RFC 6238).

Checking a factor gives a `Proof`. It is used up only when signing in as a whole succeeds, so that a right code beside a
wrong password stays good.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import pyotp
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.models import Passkey, RecoveryCode, Researcher
from core.models.audit_record import Action

STEP_S = 30
TOLERATED_STEPS = 1
SECRET_CHARACTERS = 52
RECOVERY_CODES = 10
SALT_BYTES = 16
RECOVERY_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # without characters that look alike
PENDING_FOR = timedelta(minutes=10)
_APP_CODE = re.compile(r"[0-9]{6}")
_RECOVERY_CODE = re.compile(f"[{RECOVERY_ALPHABET}]{{12}}")


class Proof(Protocol):
    """A second factor that was right and is not used up yet; `use` says whether it was still good, and uses it up."""

    def use(self, session: Session, now: datetime) -> bool:
        """Uses the factor up; False if another request used it first. The caller commits."""


@dataclass(frozen=True)
class _AppCode(Proof):
    researcher_id: int
    step: int

    def use(self, session: Session, now: datetime) -> bool:
        """Accepts each step once, and none before the last accepted one (PORTAL-51)."""
        last = Researcher.totp_last_step
        used = session.execute(
            sa.update(Researcher)
            .where(Researcher.id == self.researcher_id, sa.or_(last.is_(None), last < self.step))
            .values(totp_last_step=self.step)
        )
        return bool(used.rowcount)  # type: ignore[attr-defined]  # the result of an UPDATE has it


@dataclass(frozen=True)
class _RecoveryCode(Proof):
    code_id: int

    def use(self, session: Session, now: datetime) -> bool:
        """Accepts the code once."""
        unused = sa.and_(RecoveryCode.id == self.code_id, RecoveryCode.used_at.is_(None))
        used = session.execute(sa.update(RecoveryCode).where(unused).values(used_at=now))
        return bool(used.rowcount)  # type: ignore[attr-defined]  # the result of an UPDATE has it


def tidied_code(typed: str) -> str | None:
    """The code without blanks and dashes; None if it is neither six digits nor a recovery code."""
    code = re.sub(r"[\s-]", "", typed).lower()
    return code if _APP_CODE.fullmatch(code) or _RECOVERY_CODE.fullmatch(code) else None


def check_code(session: Session, researcher: Researcher, typed: str, now: datetime) -> Proof | None:
    """The proof by this code of the app or recovery code; None if it is wrong, or was used before."""
    code = tidied_code(typed)
    if code is None:
        return None
    if not _APP_CODE.fullmatch(code):
        unused = (RecoveryCode.researcher_id == researcher.id, RecoveryCode.used_at.is_(None))
        rows = session.scalars(sa.select(RecoveryCode).where(*unused)).all()
        fits = [row.id for row in rows if _is_hash_of(row.code_hash, researcher.id, code)]
        return _RecoveryCode(fits[0]) if fits else None
    if researcher.totp_enabled_at is None or researcher.totp_secret is None:
        return None
    step = matching_step(researcher.totp_secret, code, now, after=researcher.totp_last_step)
    return _AppCode(researcher.id, step) if step is not None else None


def matching_step(secret: str, code: str, now: datetime, after: int | None = None) -> int | None:
    """The 30-second step (Unix time / 30) whose code this is, within one step of now; None if there is none.

    `after`: steps up to this one do not count.
    """
    totp = pyotp.TOTP(secret)
    current = int(now.timestamp()) // STEP_S
    for step in range(current - TOLERATED_STEPS, current + TOLERATED_STEPS + 1):
        if (after is None or step > after) and hmac.compare_digest(totp.at(step * STEP_S), code):
            return step
    return None


def begin_totp(researcher: Researcher, now: datetime) -> str:
    """Sets and returns a new secret, in use once a code of it was typed within ten minutes (PORTAL-52, PORTAL-54)."""
    researcher.pending_totp_secret = pyotp.random_base32(SECRET_CHARACTERS)
    researcher.pending_totp_at = now
    return researcher.pending_totp_secret


def pending_secret(researcher: Researcher, now: datetime) -> str | None:
    """The secret that waits for its first code; None if there is none, or after ten minutes."""
    at = researcher.pending_totp_at
    return researcher.pending_totp_secret if at is not None and now - at < PENDING_FOR else None


def provisioning_uri(secret: str, username: str, issuer: str) -> str:
    """The `otpauth` address that authenticator apps read from a QR code (PORTAL-52)."""
    return pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=issuer)


def confirm_totp(session: Session, researcher: Researcher, typed: str, now: datetime, *, actor: Actor) -> bool:
    """Puts the pending secret into use if this is a code of it; the caller commits (PORTAL-54)."""
    secret, code = pending_secret(researcher, now), tidied_code(typed)
    step = matching_step(secret, code, now) if secret and code else None
    if secret is None or step is None:
        return False
    researcher.totp_secret, researcher.totp_enabled_at, researcher.totp_last_step = secret, now, step
    researcher.pending_totp_secret = researcher.pending_totp_at = None
    record(session, actor, Action.RESEARCHER_SECOND_FACTOR, username=researcher.username, after="app")
    return True


def remove_totp(session: Session, researcher: Researcher, *, actor: Actor) -> None:
    """Stops asking for codes of the app, and forgets recovery codes if no passkey is left; the caller commits."""
    _forget_totp(researcher)
    if not session.scalar(sa.select(sa.exists().where(Passkey.researcher_id == researcher.id))):
        session.execute(sa.delete(RecoveryCode).where(RecoveryCode.researcher_id == researcher.id))
    record(session, actor, Action.RESEARCHER_SECOND_FACTOR, username=researcher.username, before="app")


def renew_recovery_codes(session: Session, researcher: Researcher, *, actor: Actor) -> list[str]:
    """Replaces the recovery codes; returns ten new ones, which are not stored in plain. The caller commits."""
    session.execute(sa.delete(RecoveryCode).where(RecoveryCode.researcher_id == researcher.id))
    codes = ["".join(secrets.choice(RECOVERY_ALPHABET) for _ in range(12)) for _ in range(RECOVERY_CODES)]
    for code in codes:
        salted = _hashed(secrets.token_bytes(SALT_BYTES), researcher.id, code)
        session.add(RecoveryCode(researcher_id=researcher.id, code_hash=salted))
    record(session, actor, Action.RESEARCHER_RECOVERY_CODES, username=researcher.username)
    return [f"{code[:4]}-{code[4:8]}-{code[8:]}" for code in codes]


def recovery_codes_left(session: Session, researcher: Researcher) -> int:
    """How many recovery codes are not used."""
    unused = (RecoveryCode.researcher_id == researcher.id, RecoveryCode.used_at.is_(None))
    return session.scalar(sa.select(sa.func.count()).select_from(RecoveryCode).where(*unused)) or 0


def clear_second_factor(session: Session, researcher: Researcher, *, actor: Actor) -> None:
    """Removes app, passkeys and recovery codes, and ends the person's sessions (PORTAL-29, PORTAL-56)."""
    _forget_totp(researcher)
    for table in (RecoveryCode, Passkey):
        session.execute(sa.delete(table).where(table.researcher_id == researcher.id))
    researcher.end_sessions()
    record(session, actor, Action.RESEARCHER_RESET_MFA, username=researcher.username)


def _forget_totp(researcher: Researcher) -> None:
    researcher.totp_secret = researcher.totp_enabled_at = researcher.totp_last_step = None
    researcher.pending_totp_secret = researcher.pending_totp_at = None


def _hashed(salt: bytes, researcher_id: int, code: str) -> bytes:
    """The salt, and the SHA-256 over it, the account's number and the code."""
    return salt + hashlib.sha256(salt + f"{researcher_id}:{code}".encode()).digest()


def _is_hash_of(stored: bytes, researcher_id: int, code: str) -> bool:
    """Whether the stored hash is of this code. Codes that were made earlier have no salt."""
    salt = stored[: -hashlib.sha256().digest_size]
    return hmac.compare_digest(_hashed(salt, researcher_id, code), stored)
