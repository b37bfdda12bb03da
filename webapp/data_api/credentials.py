"""Who asks: API keys and the study they ask for (DATA-1 to DATA-4)."""

import hashlib
import hmac
import re
import secrets
from datetime import UTC, datetime
from threading import Lock

from sqlalchemy.orm import Session, joinedload

from core.access import Capability, may
from core.crypto.passwords import hash_password, verify_password
from core.database import db
from core.models import ApiKey, Researcher, Study
from core.models.researcher import role_in_study
from core.models.study import study_by_object_id

WELL_FORMED = re.compile(r"[A-Za-z0-9+/]+")
STUDY_ID = re.compile(r"[A-Za-z0-9]{24}")
LONGEST_STUDY_NUMBER = 18  # digits of a 64-bit number
NO_HASH = hash_password("nobody's secret")


class ApiRefused(Exception):
    """The request is answered with this status and a sentence (DATA-1, DATA-2)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class VerifiedKeys:
    """Secrets that have lately been right, as fast keyed hashes, so that a slow hash is not computed each time.

    An entry counts only while the key's stored hash is the one it was checked against.
    """

    def __init__(self, most: int = 1_000) -> None:
        self._seed = secrets.token_bytes(32)
        self._most = most
        self._seen: dict[bytes, None] = {}
        self._lock = Lock()

    def matches(self, secret: str, stored: str) -> bool:
        """True when `secret` is the one behind the stored hash."""
        mark = hmac.digest(self._seed, f"{secret}\n{stored}".encode(), hashlib.sha256)
        with self._lock:
            if mark in self._seen:
                return True
        if not verify_password(secret, stored):
            return False
        with self._lock:
            self._seen[mark] = None
            while len(self._seen) > self._most:
                self._seen.pop(next(iter(self._seen)))
        return True


verified_keys = VerifiedKeys()


def researcher_of(form: dict[str, str]) -> Researcher:
    """The owner of the key in the form. Raises ApiRefused: 400 missing or malformed, 403 unknown, disabled, wrong."""
    access_key, secret_key = form.get("access_key", ""), form.get("secret_key", "")
    if not (WELL_FORMED.fullmatch(access_key) and WELL_FORMED.fullmatch(secret_key)):
        raise ApiRefused(400, "access_key and secret_key are needed: 64 characters of A-Z a-z 0-9 + /")
    key = db.session.scalar(
        db.select(ApiKey).where(ApiKey.access_key == access_key).options(joinedload(ApiKey.researcher))
    )
    is_right = verified_keys.matches(secret_key, key.secret_hash if key else NO_HASH)
    if key is None or not is_right or not key.is_active or key.researcher is None or key.researcher.is_disabled:
        raise ApiRefused(403, "these credentials are not valid")
    key.last_used_at = datetime.now(UTC)
    db.session.commit()
    return key.researcher


def study_for(researcher: Researcher, form: dict[str, str], capability: Capability) -> Study:
    """The study the form names, if the researcher may do this in it. Raises ApiRefused: 400, 404, 403 (DATA-2)."""
    study = _named_study(db.session(), form)
    if study is None or study.hidden_at:
        raise ApiRefused(404, "there is no such study")
    role = role_in_study(db.session(), researcher.id, study.id)
    if not may(capability, role=role, is_site_admin=researcher.is_site_admin):
        raise ApiRefused(403, "these credentials give no access to that study")
    return study


def require_well_formed_study(form: dict[str, str]) -> None:
    """A malformed or missing study id is 400 whatever the credentials (DATA-2)."""
    if object_id := form.get("study_id"):
        if not STUDY_ID.fullmatch(object_id):
            raise ApiRefused(400, "study_id: 24 letters or digits are expected")
    elif not form.get("study_pk"):
        raise ApiRefused(400, "study_id or study_pk is needed")
    elif not form["study_pk"].isdecimal() or len(form["study_pk"]) > LONGEST_STUDY_NUMBER:
        raise ApiRefused(400, "study_pk: an integer is expected")


def _named_study(session: Session, form: dict[str, str]) -> Study | None:
    if object_id := form.get("study_id"):
        return study_by_object_id(session, object_id)
    return session.get(Study, int(form["study_pk"]))
