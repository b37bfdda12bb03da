"""The site's push credentials: one of each kind at a time (NOTIF-33)."""

import json
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.models import CredentialKind, PushCredential
from core.models.audit_record import Action
from core.notifications.credential_files import ApnsKey, checked_contents, phone_plist
from core.streams import Platform


def store_credential(session: Session, kind: CredentialKind, data: bytes, now: datetime, *, actor: Actor) -> None:
    """Stores an uploaded file in place of the previous one; the caller commits. Raises CredentialRefused."""
    new = {"contents": checked_contents(kind, data), "uploaded_at": now}
    statement = insert(PushCredential).values(kind=kind.value, **new)
    session.execute(statement.on_conflict_do_update(index_elements=["kind"], set_=new))
    record(session, actor, Action.CREDENTIAL_STORE, kind=kind.value)


def remove_credential(session: Session, kind: CredentialKind, *, actor: Actor) -> None:
    """Deletes the credential of this kind; the caller commits."""
    session.execute(sa.delete(PushCredential).where(PushCredential.kind == kind.value))
    record(session, actor, Action.CREDENTIAL_REMOVE, kind=kind.value)


def uploaded_credentials(session: Session) -> dict[CredentialKind, datetime]:
    """The kinds of stored credentials, with the times of their uploads."""
    rows = session.execute(sa.select(PushCredential.kind, PushCredential.uploaded_at)).tuples()
    return {CredentialKind(kind): at for kind, at in rows}


def service_account(session: Session) -> dict[str, Any] | None:
    """The backend's Firebase service account, including its private key, or None."""
    contents = _contents(session, CredentialKind.BACKEND)
    account: dict[str, Any] | None = json.loads(contents) if contents else None
    return account


def apns_key(session: Session) -> ApnsKey | None:
    """The key for sending by Apple directly, or None (NOTIF-34)."""
    contents = _contents(session, CredentialKind.APNS)
    return ApnsKey(**json.loads(contents)) if contents else None


def firebase_files_for_phone(session: Session, platform: Platform) -> dict[str, Any]:
    """The site's Firebase file for this platform, as registration sends it to a phone (PHONE-36)."""
    files: dict[str, Any] = {"ios_plist": None, "android_firebase_json": None}
    if platform is Platform.IOS:
        plist = _contents(session, CredentialKind.IOS)
        return files | {"ios_plist": phone_plist(plist) if plist else None}
    services = _contents(session, CredentialKind.ANDROID)
    return files | {"android_firebase_json": json.loads(services) if services else None}


def _contents(session: Session, kind: CredentialKind) -> str | None:
    return session.scalar(sa.select(PushCredential.contents).where(PushCredential.kind == kind.value))
