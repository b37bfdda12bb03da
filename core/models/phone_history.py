"""What phones reported about themselves over time; append-only (PHONE-121, PHONE-123, PHONE-125)."""

from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import At, Id, one_of
from core.streams import Platform


class PhoneReport(Model):
    """The newest reports of a participant's phone, as received (PHONE-120). Kept apart from the activity row for size.

    `notification_report`, `active_survey_ids` and `supported_features` are lists as JSON texts of iOS; `device_status`
    is a JSON object, which may be cut (PHONE-124).
    """

    __tablename__ = "phone_reports"

    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="CASCADE"), primary_key=True)
    notification_report: Mapped[str | None] = mapped_column(sa.Text)
    active_survey_ids: Mapped[str | None] = mapped_column(sa.Text)
    supported_features: Mapped[str | None] = mapped_column(sa.Text)
    device_status: Mapped[str | None] = mapped_column(sa.Text)
    updated_at: Mapped[At]


class AppVersion(Model):
    """App and system versions of a phone from `at` on, as reported; null if not reported (PHONE-121)."""

    __tablename__ = "app_versions"

    id: Mapped[Id]
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"))
    at: Mapped[At]
    os_type: Mapped[str | None] = mapped_column(sa.Text)
    version_code: Mapped[str | None] = mapped_column(sa.Text)
    version_name: Mapped[str | None] = mapped_column(sa.Text)
    os_version: Mapped[str | None] = mapped_column(sa.Text)

    __table_args__ = (one_of("os_type", Platform), sa.Index(None, "participant_id", "at"))


class PushReceipt(Model):
    """A phone's report that it received the push with this uuid; only the first report is kept (PHONE-123)."""

    __tablename__ = "push_receipts"

    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"), primary_key=True)
    uuid: Mapped[UUID] = mapped_column(sa.Uuid, primary_key=True)
    received_at: Mapped[At]


class StatusReport(Model):
    """One request of a participant whose phone is watched closely (PHONE-125).

    `endpoint` is its path; `report` is the newest device status, UTF-8 compressed with zstd, or null.
    """

    __tablename__ = "status_reports"

    id: Mapped[Id]
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"))
    at: Mapped[At]
    os_type: Mapped[str | None] = mapped_column(sa.Text)
    os_version: Mapped[str | None] = mapped_column(sa.Text)
    version_code: Mapped[str | None] = mapped_column(sa.Text)
    version_name: Mapped[str | None] = mapped_column(sa.Text)
    endpoint: Mapped[str] = mapped_column(sa.Text)
    report: Mapped[bytes | None] = mapped_column(sa.LargeBinary)

    __table_args__ = (one_of("os_type", Platform), sa.Index(None, "participant_id", "at"))


class EventKind(StrEnum):
    """What happened to a participant or a phone."""

    REGISTERED = "registered"
    DEVICE_CHANGED = "device changed"
    PASSWORD_CHANGED = "password changed"  # noqa: S105  by the phone
    ZONE_CHANGED = "zone changed"
    TOKEN_RETIRED = "push token retired"  # noqa: S105  by the server
    HEARTBEAT_PUSHED = "heartbeat notification sent"


class ParticipantEvent(Model):
    """Something that happened to a participant; `detail` says more, and holds no secret."""

    __tablename__ = "participant_events"

    id: Mapped[Id]
    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="RESTRICT"))
    at: Mapped[At]
    kind: Mapped[str] = mapped_column(sa.Text)
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=sa.text("'{}'"))

    __table_args__ = (one_of("kind", EventKind), sa.Index(None, "participant_id", "at"))
