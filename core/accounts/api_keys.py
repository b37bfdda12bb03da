"""API keys of researchers' programs (DATA-4)."""

import secrets
import string
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.crypto.passwords import hash_password
from core.models import ApiKey, Researcher, Study
from core.models.audit_record import Action
from core.models.researcher import studies_of

API_KEY_CHARACTERS = string.ascii_letters + string.digits + "+/"
API_KEY_LENGTH = 64
LONGEST_NAME = 200


def create_api_key(
    session: Session,
    researcher: Researcher,
    name: str,
    *,
    only_study: Study | None = None,
    is_for_lists: bool = False,
    expires_at: datetime | None = None,
    actor: Actor,
) -> tuple[str, str]:
    """Adds an API key; returns the access key and the secret, which is not stored (DATA-4). The caller commits.

    With `only_study` it is for that study alone, with `is_for_lists` it gives no data of participants (PERM-96). It may
    never do more than its owner may at the time of a request. From `expires_at` on it is refused. Raises ValueError for
    a study that the owner cannot see.
    """
    if only_study is not None and only_study.id not in {study.id for study in studies_of(session, researcher)}:
        raise ValueError("a key is for a study in which its owner has a role")
    access_key, secret_key = (
        "".join(secrets.choice(API_KEY_CHARACTERS) for _ in range(API_KEY_LENGTH)) for _ in range(2)
    )
    session.add(
        ApiKey(
            access_key=access_key,
            secret_hash=hash_password(secret_key),
            name=name,
            researcher=researcher,
            only_study_id=only_study.id if only_study else None,
            is_for_lists=is_for_lists,
            expires_at=expires_at,
        )
    )
    narrower: dict[str, Any] = {"lists": True} if is_for_lists else {}
    if only_study is not None:
        narrower["only_study"] = only_study.object_id
    if expires_at is not None:
        narrower["expires_at"] = expires_at.isoformat(timespec="seconds")
    record(session, actor, Action.API_KEY_CREATE, username=researcher.username, access_key=access_key, **narrower)
    return access_key, secret_key


def disable_api_key(session: Session, access_key: str, *, actor: Actor) -> bool:
    """Disables an API key at once; the caller commits. Returns False if there is no such key."""
    key = session.scalar(select(ApiKey).where(ApiKey.access_key == access_key))
    if key is None:
        return False
    key.is_active = False
    record(session, actor, Action.API_KEY_DISABLE, access_key=access_key)
    return True


def active_keys_of(session: Session, researcher: Researcher) -> list[ApiKey]:
    """The person's keys that are not disabled, newest first; some may have expired (PORTAL-60)."""
    query = select(ApiKey).where(ApiKey.researcher_id == researcher.id, ApiKey.is_active)
    return list(session.scalars(query.order_by(ApiKey.created_at.desc(), ApiKey.id.desc())))


def disable_own_key(session: Session, researcher: Researcher, access_key: str, *, actor: Actor) -> ApiKey | None:
    """Disables a key of this person; None if it is not theirs, or disabled already. The caller commits."""
    own = (ApiKey.access_key == access_key, ApiKey.researcher_id == researcher.id, ApiKey.is_active)
    key = session.scalar(select(ApiKey).where(*own))
    if key is None:
        return None
    disable_api_key(session, access_key, actor=actor)
    return key
