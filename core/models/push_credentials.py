"""Credentials with which the site sends pushes and phones receive them (NOTIF-33, NOTIF-34)."""

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model, SealedText
from core.models.columns import CreatedAt, one_of


class CredentialKind(StrEnum):
    """What a credential is for: sending by Firebase, the two apps' own files, sending by Apple directly."""

    BACKEND = "backend"
    ANDROID = "android"
    IOS = "ios"
    APNS = "apns"


class PushCredential(Model):
    """The current credential of one kind; a new one replaces it. `contents` is sealed: two kinds hold private keys.

    `core/notifications/credential_files` defines the contents, and checks them before they are stored.
    """

    __tablename__ = "push_credentials"

    kind: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    contents: Mapped[str] = mapped_column(SealedText("push_credentials.contents"))
    uploaded_at: Mapped[CreatedAt]

    __table_args__ = (one_of("kind", CredentialKind),)
