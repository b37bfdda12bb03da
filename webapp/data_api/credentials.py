"""Checks a request's API key and its right to the study that it names (DATA-1 to DATA-4)."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock

from cachetools import LRUCache, TTLCache
from flask import g, request
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from sqlalchemy.orm import Session, joinedload
from werkzeug.datastructures import Headers

from core.access import Capability, Outcome, decide
from core.crypto.slow_hashes import verify_slowly
from core.database import db
from core.limits import limit_session
from core.models import ApiKey, Researcher, Study
from core.models.researcher import requester_of
from core.models.study import study_by_object_id

WELL_FORMED = re.compile(r"[A-Za-z0-9+/]+")
STUDY_ID = re.compile(r"[A-Za-z0-9]{24}")
KEY_HEADERS = {"access_key": "X-Access-Key-Id", "secret_key": "X-Access-Key-Secret"}  # DATA-70
LONGEST_STUDY_NUMBER = 18  # digits of a 64-bit number
# Wrong secrets for one key from one address; beyond this the answer is 429. A right secret is never refused (CLAR-11).
FAILURES = RateLimitItemPerMinute(30)
LAST_USE_EVERY = timedelta(
    seconds=5
)  # a program that reads thousands of objects does not write its key's row each time
_failures = FixedWindowRateLimiter(MemoryStorage())


class RecentFailures:
    """Counts the wrong credentials that each address sent recently."""

    def __init__(self) -> None:
        self._times: TTLCache[str, int] = TTLCache(100_000, 120)
        self._lock = Lock()

    def add(self, address: str) -> None:
        """Counts one more for the address. The count expires two minutes after the last one."""
        with self._lock:
            self._times[address] = self._times.get(address, 0) + 1

    def times(self, address: str) -> int:
        """How many wrong credentials the address sent; 0 once the count has expired."""
        with self._lock:
            return self._times.get(address, 0)


recent_failures = RecentFailures()


class ApiRefused(Exception):
    """The request is answered with this status and a sentence (DATA-1, DATA-2)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class CheckedSecrets:
    """Remembers which secrets were right or wrong, so that the slow hash is computed once per secret (DATA-4).

    Entries are fast keyed hashes over the secret and the key's stored hash: a changed stored hash makes them useless.
    Slow hashes are computed one at a time; a secret already known to be right does not wait for them.
    """

    def __init__(self, most: int = 1_000, wrong_seconds: int = 600) -> None:
        self._seed = secrets.token_bytes(32)
        self._right: LRUCache[bytes, bool] = LRUCache(most)
        self._wrong: TTLCache[bytes, bool] = TTLCache(10 * most, wrong_seconds)
        self._lock = Lock()

    def matches(self, secret: str, stored: str) -> bool:
        """Whether `secret` matches the stored slow hash."""
        mark = hmac.digest(self._seed, f"{secret}\n{stored}".encode(), hashlib.sha256)
        with self._lock:
            known = self._right.get(mark, self._wrong.get(mark))
        if known is not None:
            return known
        is_right = verify_slowly(secret, stored)
        with self._lock:
            (self._right if is_right else self._wrong)[mark] = is_right
        return is_right


checked_secrets = CheckedSecrets()


@dataclass(frozen=True)
class Program:
    """A program with an API key, and the researcher for whom it acts."""

    key: ApiKey
    researcher: Researcher


def program_of(form: Mapping[str, str]) -> Program:
    """The API key in the form, with its owner. Stores the time of use and commits.

    Raises ApiRefused: 400 for missing or malformed credentials, 403 for an unknown or disabled key or a wrong secret,
    429 after too many wrong secrets. Sets `g.researcher`, for the log.
    """
    key = _well_formed_key(form)
    if key is None or key.researcher is None or not _is_right(key, form):
        raise _refusal_of(form["access_key"])
    g.researcher = key.researcher
    now, name = datetime.now(UTC), request.path.strip("/").partition("/")[0]
    if key.last_used_at is None or key.last_used_for != name or now - key.last_used_at > LAST_USE_EVERY:
        key.last_used_at, key.last_used_for = now, name
    db.session.commit()
    return Program(key, key.researcher)


def program_of_headers(headers: Headers) -> Program:
    """The API key in the headers of a GET request, with its owner. Raises ApiRefused like `program_of`."""
    if missing := missing_headers(headers):
        raise ApiRefused(400, " ".join(missing))
    return program_of({field: headers[name] for field, name in KEY_HEADERS.items()})


def missing_headers(headers: Headers) -> list[str]:
    """A sentence for each of the two headers that is missing (DATA-70)."""
    return [f"The header {name} is missing." for name in KEY_HEADERS.values() if not headers.get(name)]


def are_credentials_right(form: Mapping[str, str]) -> bool:
    """Whether the form holds a usable API key and its right secret. Writes nothing."""
    try:
        key = _well_formed_key(form)
    except ApiRefused:
        return False
    return key is not None and _is_right(key, form)


def _well_formed_key(form: Mapping[str, str]) -> ApiKey | None:
    access_key, secret_key = form.get("access_key", ""), form.get("secret_key", "")
    if not (WELL_FORMED.fullmatch(access_key) and WELL_FORMED.fullmatch(secret_key)):
        raise ApiRefused(400, "access_key and secret_key are needed: 64 characters of A-Z a-z 0-9 + /")
    query = db.select(ApiKey).where(ApiKey.access_key == access_key).options(joinedload(ApiKey.researcher))
    key: ApiKey | None = db.session.scalar(query)
    return key


def _is_right(key: ApiKey, form: Mapping[str, str]) -> bool:
    """Whether the key is usable and the secret right.

    An unusable key is refused without the slow hash. The shorter time reveals only whether an access key is usable, and
    access keys, 64 random characters, cannot be guessed.
    """
    is_expired = key.expires_at is not None and key.expires_at <= datetime.now(UTC)
    is_usable = key.is_active and not is_expired and key.researcher is not None and not key.researcher.is_disabled
    return is_usable and checked_secrets.matches(form["secret_key"], key.secret_hash)


def _refusal_of(access_key: str) -> ApiRefused:
    recent_failures.add(request.remote_addr or "")
    if _failures.hit(FAILURES, request.remote_addr or "", access_key[:64]):
        return ApiRefused(403, "these credentials are not valid")
    return ApiRefused(429, "these credentials were not valid many times; wait a minute before other ones are tried")


def study_for(program: Program, form: Mapping[str, str], capability: Capability) -> Study:
    """The study the form names, if the program may do this in it. Raises ApiRefused: 400, 404, 403 (DATA-2)."""
    study = _named_study(db.session(), form)
    requester = requester_of(db.session(), program.researcher, key=program.key)
    limit_session(db.session(), requester.limits)  # before anything of a participant is read (PERM-95)
    decision = decide(requester, capability, study)
    if decision.outcome is Outcome.NOT_FOUND or study is None:
        raise ApiRefused(404, "there is no such study")
    if not decision.is_allowed:
        raise ApiRefused(403, "these credentials give no access to that study")
    return study


def require_well_formed_study(form: Mapping[str, str]) -> None:
    """A malformed or missing study id is 400 whatever the credentials (DATA-2)."""
    if object_id := form.get("study_id"):
        if not STUDY_ID.fullmatch(object_id):
            raise ApiRefused(400, "study_id: 24 letters or digits are expected")
    elif not form.get("study_pk"):
        raise ApiRefused(400, "study_id or study_pk is needed")
    elif not form["study_pk"].isdecimal() or len(form["study_pk"]) > LONGEST_STUDY_NUMBER:
        raise ApiRefused(400, "study_pk: an integer is expected")


def _named_study(session: Session, form: Mapping[str, str]) -> Study | None:
    if object_id := form.get("study_id"):
        return study_by_object_id(session, object_id)
    return session.get(Study, int(form["study_pk"]))
