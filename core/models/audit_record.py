"""The audit trail (CLAR-20)."""

from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import CreatedAt, Id, one_of

_IS_WHOLE = sa.text("part_of IS NULL")


class ActorKind(StrEnum):
    """Who may change something."""

    RESEARCHER = "researcher"
    API_KEY = "api_key"
    COMMAND = "command"
    SERVER = "server"


class Action(StrEnum):
    """What may be changed, as `subject.verb`."""

    STUDY_CREATE = "study.create"
    STUDY_TIMEZONE = "study.timezone"
    STUDY_END_DATE = "study.end_date"
    STUDY_STOP = "study.stop"
    STUDY_REOPEN = "study.reopen"
    STUDY_HIDE = "study.hide"
    STUDY_UNHIDE = "study.unhide"
    STUDY_EASY_ENROLLMENT = "study.easy_enrollment"
    STUDY_FOREST = "study.forest"
    STUDY_NIGHTLY_FOREST = "study.nightly_forest"
    FOREST_CREATE = "forest.create"
    FOREST_CANCEL = "forest.cancel"
    STUDY_GRANT = "study.grant"
    STUDY_RENAME = "study.rename"
    STUDY_SECURITY = "study.security"
    STUDY_APP_SETTINGS = "study.app_settings"
    STUDY_IMPORT = "study.import"
    QUANTITY_DEFAULTS = "quantity.defaults"
    STUDY_SURVEY_EXPIRY = "study.survey_expiry"
    INTERVENTION_CREATE = "intervention.create"
    INTERVENTION_RENAME = "intervention.rename"
    INTERVENTION_DELETE = "intervention.delete"
    FIELD_CREATE = "field.create"
    FIELD_RENAME = "field.rename"
    FIELD_DELETE = "field.delete"
    PARTICIPANT_CREATE = "participant.create"
    PARTICIPANT_BATCH = "participant.batch"
    PARTICIPANT_RENEW_PASSWORDS = "participant.renew_passwords"
    PARTICIPANT_RETIRE = "participant.retire"
    PARTICIPANT_UNRETIRE = "participant.unretire"
    PARTICIPANT_EASY_ENROLLMENT = "participant.easy_enrollment"
    PARTICIPANT_FIELDS = "participant.fields"
    PARTICIPANT_BULK_EDIT = "participant.bulk_edit"
    PARTICIPANT_UNDO_BULK_EDIT = "participant.undo_bulk_edit"
    PARTICIPANT_BULK_RETIRE = "participant.bulk_retire"
    PARTICIPANT_BULK_UNRETIRE = "participant.bulk_unretire"
    PARTICIPANT_BULK_RESET_DEVICE = "participant.bulk_reset_device"
    PARTICIPANT_NEW_PHONE = "participant.new_phone"
    PARTICIPANT_WITHDRAW = "participant.withdraw"
    PARTICIPANT_COMPLETE = "participant.complete"
    PARTICIPANT_TAKE_BACK_DEPARTURE = "participant.take_back_departure"
    PARTICIPANT_PAUSE = "participant.pause"
    PARTICIPANT_RESUME = "participant.resume"
    PARTICIPANT_TEST = "participant.test"
    PARTICIPANT_NOTE = "participant.note"
    PARTICIPANT_EXPORT = "participant.export"
    PARTICIPANT_TAKE_BACK_PURGE = "participant.take_back_purge"
    UPLOAD_TRY_AGAIN = "upload.try_again"
    PROCESSING_TRY_AGAIN = "processing.try_again"
    PARTICIPANT_RESET_DEVICE = "participant.reset_device"
    PARTICIPANT_RESET_PASSWORD = "participant.reset_password"  # noqa: S105  a name
    PARTICIPANT_PURGE = "participant.purge"
    SURVEY_CREATE = "survey.create"
    SURVEY_SAVE = "survey.save"
    SURVEY_SCHEDULES = "survey.schedules"
    SURVEY_DRAFT = "survey.draft"
    SURVEY_DISCARD = "survey.discard"
    SURVEY_PUBLISH = "survey.publish"
    SURVEY_COPY = "survey.copy"
    SURVEY_BRING_IN = "survey.bring_in"
    SURVEY_DELETE = "survey.delete"
    SURVEY_RESTORE = "survey.restore"
    SCORE_SAVE = "score.save"
    SCORE_REMOVE = "score.remove"
    SCORE_COMPUTE = "score.compute"
    RESEARCHER_CREATE = "researcher.create"
    RESEARCHER_SET_PASSWORD = "researcher.set_password"  # noqa: S105  a name
    RESEARCHER_ENABLE = "researcher.enable"
    RESEARCHER_DISABLE = "researcher.disable"
    RESEARCHER_SITE_ADMIN = "researcher.site_admin"
    RESEARCHER_INVITE = "researcher.invite"
    RESEARCHER_LINK = "researcher.link"
    RESEARCHER_LINK_WITHDRAW = "researcher.link_withdraw"
    RESEARCHER_LINK_USE = "researcher.link_use"
    RESEARCHER_DELETE = "researcher.delete"
    RESEARCHER_SECOND_FACTOR = "researcher.second_factor"
    RESEARCHER_RECOVERY_CODES = "researcher.recovery_codes"
    RESEARCHER_RESET_MFA = "researcher.reset_mfa"
    RESEARCHER_SESSIONS = "researcher.sessions"
    API_KEY_CREATE = "api_key.create"
    API_KEY_DISABLE = "api_key.disable"
    CREDENTIAL_STORE = "credential.store"
    CREDENTIAL_REMOVE = "credential.remove"
    NOTIFICATION_SEND = "notification.send"
    NOTIFICATION_TEXT = "notification.text"
    NOTIFICATION_TEST = "notification.test"
    STUDY_QUIET_HOURS = "study.quiet_hours"
    SURVEY_TRANSLATE = "survey.translate"
    STUDY_LANGUAGE_FIELD = "study.language_field"
    STUDY_LANGUAGE_SAVE = "study.language_save"
    STUDY_LANGUAGE_REMOVE = "study.language_remove"
    SURVEY_FROM_TEMPLATE = "survey.from_template"
    TEMPLATE_KEEP = "template.keep"
    TEMPLATE_REMOVE = "template.remove"
    ALERT_RULE_SAVE = "alert.rule_save"
    ALERT_RULE_REMOVE = "alert.rule_remove"
    ALERT_ACKNOWLEDGE = "alert.acknowledge"
    RESEARCHER_MAIL_ADDRESS = "researcher.mail_address"
    OUTGOING_RETRY = "outgoing.retry"
    OUTGOING_TEST = "outgoing.test"
    EXPORT_CREATE = "export.create"
    EXPORT_RUN_AGAIN = "export.run_again"
    EXPORT_CANCEL = "export.cancel"
    EXPORT_DELETE = "export.delete"
    EXPORT_FETCH = "export.fetch"
    WEBHOOK_CREATE = "webhook.create"
    WEBHOOK_CHANGE = "webhook.change"
    WEBHOOK_KEY = "webhook.key"
    WEBHOOK_ON = "webhook.on"
    WEBHOOK_OFF = "webhook.off"
    WEBHOOK_DELETE = "webhook.delete"
    WEBHOOK_TEST = "webhook.test"
    WEBHOOK_SEND_AGAIN = "webhook.send_again"
    DATA_REPROCESS = "data.reprocess"
    DATA_FIX = "data.fix"
    STORE_REQUEUE = "store.requeue"
    STORE_COMPRESS = "store.compress"
    DOWNTIME_ON = "downtime.on"
    DOWNTIME_OFF = "downtime.off"


class AuditRecord(Model):
    """One change. It refers to nothing by foreign key and is never purged: ids and names are text.

    The database refuses to update, delete or truncate rows (a trigger of migration 0018). `actor_role` is the actor's
    role in the study at that moment; commands and the server have none. `request_id` and `address` (the client's) are
    null for what no request caused. `detail` holds ids, names of settings and their old and new values.

    A change of many participants has a row of its own, and one row for each participant, whose `part_of` is that row.
    """

    __tablename__ = "audit_records"

    id: Mapped[Id]
    at: Mapped[CreatedAt]
    actor_kind: Mapped[str] = mapped_column(sa.Text)
    actor_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    actor_name: Mapped[str] = mapped_column(sa.Text)
    actor_role: Mapped[str | None] = mapped_column(sa.Text)
    action: Mapped[str] = mapped_column(sa.Text)
    study_object_id: Mapped[str | None] = mapped_column(sa.Text)
    patient_id: Mapped[str | None] = mapped_column(sa.Text)
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB(none_as_null=True), server_default=sa.text("'{}'"))
    request_id: Mapped[str | None] = mapped_column(sa.Text)
    address: Mapped[str | None] = mapped_column(sa.Text)
    part_of: Mapped[int | None] = mapped_column(sa.BigInteger)

    # The lists are read in the order of (at, id). Each combination of equal columns that pages filter by has an index,
    # so that a page costs the same whatever matches. Parts are not in them.
    __table_args__ = (
        one_of("actor_kind", ActorKind),
        sa.Index(None, "study_object_id", "at", "id", postgresql_where=_IS_WHOLE),
        sa.Index(None, "study_object_id", "actor_name", "at", "id", postgresql_where=_IS_WHOLE),
        sa.Index(None, "study_object_id", "action", "at", "id", postgresql_where=_IS_WHOLE),
        sa.Index(None, "study_object_id", "actor_name", "action", "at", "id", postgresql_where=_IS_WHOLE),
        sa.Index(None, "at", "id", postgresql_where=_IS_WHOLE),
        sa.Index(None, "actor_name", "at", "id", postgresql_where=_IS_WHOLE),
        sa.Index(None, "action", "at", "id", postgresql_where=_IS_WHOLE),
        sa.Index(None, "actor_name", "action", "at", "id", postgresql_where=_IS_WHOLE),
        sa.Index(None, "patient_id", "at", "id"),
        sa.Index(None, "part_of", "at", "id", postgresql_where=sa.text("part_of IS NOT NULL")),
    )
