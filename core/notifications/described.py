"""What may be shown of the site's push credentials: never their contents (PORTAL-270, PORTAL-273)."""

import json
import plistlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import AuditRecord, CredentialKind, PushCredential
from core.models.audit_record import Action
from core.notifications.credential_files import phone_plist


@dataclass(frozen=True)
class DescribedCredential:
    """A stored credential: when and by whom it was stored, what it is for (name and value), and what is wrong with it.

    `uploaded_by` is empty where the audit trail does not know, as after an import.
    """

    uploaded_at: datetime
    uploaded_by: str
    facts: list[tuple[str, str]]
    warning: str = ""


def described_credentials(session: Session) -> dict[CredentialKind, DescribedCredential]:
    """The stored credentials by kind; two queries."""
    names: dict[str, str] = {}
    stored = sa.select(AuditRecord.detail["kind"].astext, AuditRecord.actor_name)
    stored = stored.where(AuditRecord.action == Action.CREDENTIAL_STORE).order_by(AuditRecord.id)
    for kind, name in session.execute(stored):
        names[kind] = name
    found = {}
    for row in session.scalars(sa.select(PushCredential)):
        facts, warning = _FACTS[CredentialKind(row.kind)](row.contents)
        uploaded_by = names.get(row.kind, "")
        found[CredentialKind(row.kind)] = DescribedCredential(row.uploaded_at, uploaded_by, facts, warning)
    return found


def can_push(session: Session) -> bool:
    """Whether the server has credentials for sending by one of the services."""
    sending = (CredentialKind.BACKEND.value, CredentialKind.APNS.value)
    return bool(session.scalar(sa.select(sa.exists().where(PushCredential.kind.in_(sending)))))


def _backend(contents: str) -> tuple[list[tuple[str, str]], str]:
    account = json.loads(contents)
    names = {"project_id": "Project", "client_email": "Account", "private_key_id": "Key id"}
    return _listed(account, names), ""


def _android(contents: str) -> tuple[list[tuple[str, str]], str]:
    return _listed(json.loads(contents)["project_info"], {"project_id": "Project", "project_number": "Sender"}), ""


def _ios(contents: str) -> tuple[list[tuple[str, str]], str]:
    plist = plistlib.loads(contents.encode())
    facts = _listed(plist, {"PROJECT_ID": "Project", "BUNDLE_ID": "Bundle id"})
    whole = phone_plist(contents) is not None
    return facts, "" if whole else "It lacks what the app needs, so phones are not given it: the app would crash."


def _apns(contents: str) -> tuple[list[tuple[str, str]], str]:
    key = json.loads(contents)
    names = {"key_id": "Key id", "team_id": "Team id", "topic": "Topic"}
    return [*_listed(key, names), ("Service", "sandbox" if key["is_sandbox"] else "production")], ""


def _listed(of: dict[str, Any], names: dict[str, str]) -> list[tuple[str, str]]:
    return [(label, str(of[name])) for name, label in names.items() if of.get(name)]


_FACTS: dict[CredentialKind, Callable[[str], tuple[list[tuple[str, str]], str]]] = {
    CredentialKind.BACKEND: _backend,
    CredentialKind.ANDROID: _android,
    CredentialKind.IOS: _ios,
    CredentialKind.APNS: _apns,
}
