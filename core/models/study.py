"""Studies."""

import secrets
import string
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from core.database import Model, SealedText
from core.models.app_settings import AppSettings
from core.models.columns import At, CreatedAt, Id, one_of

OBJECT_ID_ALPHABET = string.ascii_letters + string.digits
KEY_ALPHABET = string.ascii_letters + string.digits + "+/"


def new_object_id() -> str:
    """A random id of 24 letters and digits, which names a study or survey in file paths (STORE-6)."""
    return "".join(secrets.choice(OBJECT_ID_ALPHABET) for _ in range(24))


def new_study_key() -> str:
    """32 random base64 characters; their ASCII bytes are the AES-256 key of a study's objects (STORE-6)."""
    return "".join(secrets.choice(KEY_ALPHABET) for _ in range(32))


class SecondFactorFor(StrEnum):
    """Which researchers of a study must use a second factor (CLAR-23)."""

    NOBODY = "nobody"
    ADMINISTRATORS = "administrators"
    EVERYBODY = "everybody"


class Study(Model):
    """A study. It is never deleted: hiding it stops it and keeps all data (PORTAL-92).

    `imported_at` is set where its objects may be those of the existing platform, some under keys without `.zst`.
    `stopped_at` is when it was last stopped by hand. The two password columns, and for whom a second factor is
    required, are rules for its researchers (PORTAL-98, CLAR-23). Its surveys can be answered for
    `survey_expiry_minutes`, where they have no time of their own (CLAR-51). No push is sent from `quiet_from` to
    `quiet_until` on the participant's clock, and no survey again from `resends_rest_from` to `resends_rest_until`; a
    pair is null where pushes never rest (CLAR-54). `language_field_id` is the custom field that tells a participant's
    language (`StudyLanguage`). With `has_forest` the study has the pages of Forest; with `has_nightly_forest` its trees
    also run each night, last queued for the night of `last_night_on` in its zone.
    """

    __tablename__ = "studies"

    id: Mapped[Id]
    object_id: Mapped[str] = mapped_column(sa.Text, unique=True, default=new_object_id)
    name: Mapped[str] = mapped_column(sa.Text)
    # Loaded only when objects are sealed or opened, so that a damaged key does not break pages.
    encryption_key: Mapped[str] = mapped_column(
        SealedText("studies.encryption_key"), default=new_study_key, deferred=True
    )
    timezone_name: Mapped[str] = mapped_column(sa.Text, server_default="America/New_York")
    end_on: Mapped[date | None]
    is_stopped_by_hand: Mapped[bool] = mapped_column(server_default=sa.false())
    stopped_at: Mapped[At | None]
    hidden_at: Mapped[At | None]
    has_easy_enrollment: Mapped[bool] = mapped_column(server_default=sa.false())
    password_minimum_length: Mapped[int] = mapped_column(server_default="8")
    password_max_age_days: Mapped[int | None]
    survey_expiry_minutes: Mapped[int] = mapped_column(server_default="1440")
    quiet_from: Mapped[time | None]
    quiet_until: Mapped[time | None]
    resends_rest_from: Mapped[time | None] = mapped_column(default=time(22), server_default="22:00")
    resends_rest_until: Mapped[time | None] = mapped_column(default=time(8), server_default="08:00")
    second_factor_for: Mapped[str] = mapped_column(sa.Text, server_default=SecondFactorFor.NOBODY.value)
    language_field_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("custom_fields.id", ondelete="SET NULL", use_alter=True)
    )
    has_forest: Mapped[bool] = mapped_column(server_default=sa.false())
    has_nightly_forest: Mapped[bool] = mapped_column(server_default=sa.false())
    last_night_on: Mapped[date | None]
    imported_at: Mapped[At | None]
    created_at: Mapped[CreatedAt]

    if TYPE_CHECKING:
        is_told_of_data: Mapped[bool]
        """Whether a webhook is told of processed data; defined beside `Webhook`."""

    app_settings: Mapped[AppSettings] = relationship(lazy="raise_on_sql", passive_deletes=True)

    __table_args__ = (
        sa.Index("uq_studies_name", sa.func.lower(name), unique=True),
        sa.CheckConstraint("password_minimum_length BETWEEN 8 AND 20", name="password_minimum_length"),
        sa.CheckConstraint("password_max_age_days BETWEEN 30 AND 365", name="password_max_age_days"),
        one_of("second_factor_for", SecondFactorFor),
        sa.CheckConstraint("(quiet_from IS NULL) = (quiet_until IS NULL)", name="quiet_hours"),
        sa.CheckConstraint("(resends_rest_from IS NULL) = (resends_rest_until IS NULL)", name="rest_of_resends"),
        sa.CheckConstraint("survey_expiry_minutes BETWEEN 10 AND 44640", name="survey_expiry_minutes"),
        sa.CheckConstraint("object_id ~ '^[A-Za-z0-9]{1,64}$'", name="object_id"),
    )

    @property
    def zone(self) -> ZoneInfo:
        """The study's time zone; New York if an old row holds an unknown name."""
        try:
            return ZoneInfo(self.timezone_name)
        except (KeyError, ValueError):
            return ZoneInfo("America/New_York")

    @property
    def storage_key(self) -> bytes:
        """The 32-byte key that seals the study's objects (MODEL-65)."""
        return self.encryption_key.encode()

    def is_stopped(self, now: datetime) -> bool:
        """Whether the study is hidden, stopped by hand, or past the end of its last day (MODEL-20, PHONE-66)."""
        return bool(self.hidden_at) or self.is_stopped_by_hand or self.is_over(now)

    def is_over(self, now: datetime) -> bool:
        """Whether the end date has passed in the study's zone; the end date itself still counts (PHONE-66)."""
        return self.end_on is not None and now >= self.end_of(self.end_on)

    def end_of(self, day: date) -> datetime:
        """The moment at which that day is over in the study's zone."""
        day_after = day + timedelta(days=1)
        return datetime(day_after.year, day_after.month, day_after.day, tzinfo=self.zone)


def study_by_object_id(session: Session, object_id: str) -> Study | None:
    """The study with this 24-character id, hidden or not, or None."""
    return session.scalar(sa.select(Study).where(Study.object_id == object_id))
