"""The tables, one file per aggregate. Queries stand beside the model they read, named as the question they answer."""

from core.models.account_link import AccountLink
from core.models.answer_alert import AlertRecipient, AlertRule, AlertSeen, AnswerAlert, Comparison
from core.models.app_settings import AppSettings
from core.models.audit_record import AuditRecord
from core.models.bulk_edit import BulkEdit, BulkEditRow
from core.models.chunk import Chunk
from core.models.custom_field import CustomField, FieldOption, FieldValue, FieldValueChange
from core.models.daily_statistics import DailyStatistics
from core.models.data_access import AccessKind, DataAccessRecord
from core.models.event_rebuild import EventRebuild
from core.models.export import Export, ExportKind, ExportParticipant, ExportState
from core.models.forest import ForestDay, ForestState, ForestTask, TaskState, TreeName
from core.models.former_translation import FormerTranslation
from core.models.intervention import Intervention, InterventionDate
from core.models.operations import Switch, SwitchName, Tally
from core.models.outgoing_message import Channel, OutgoingMessage
from core.models.participant import Heartbeat, Participant, ParticipantActivity
from core.models.participant_batch import BatchState, ParticipantBatch
from core.models.participation import Departure, DepartureKind, Note, Pause, WithdrawalReason
from core.models.phone_history import (
    AppVersion,
    EventKind,
    ParticipantEvent,
    PhoneReport,
    PushReceipt,
    StatusReport,
)
from core.models.portal_preferences import ParticipantColumns, StudyStar
from core.models.purge import Purge
from core.models.push_credentials import CredentialKind, PushCredential
from core.models.push_message import (
    MessageKind,
    MessageState,
    PushMessage,
    PushMessageEvent,
    PushServiceState,
    SenderPass,
    SenderState,
)
from core.models.push_token import PushService, PushToken
from core.models.quantity_defaults import QuantityDefaults
from core.models.reprocessing import ReprocessingJob, ReprocessingProgress
from core.models.researcher import ApiKey, Researcher, StudyRole, StudyRoleSite
from core.models.schedule import (
    AttemptKind,
    EventState,
    NotificationAttempt,
    Schedule,
    ScheduledEvent,
    SurveyExpiry,
)
from core.models.score import Score, ScoreRun, ScoreValue, ScoreVersion
from core.models.second_factor import Passkey, RecoveryCode, UsedChallenge
from core.models.settings_history import AppSettingsVersion, ConsentSent, ConsentVersion
from core.models.sign_in_record import SignInOutcome, SignInRecord
from core.models.signing_in import PortalSession, SignInFailures
from core.models.stored_object import SealKind, StoredObject
from core.models.study import Study
from core.models.study_language import StudyLanguage
from core.models.submission import (
    AnswerTally,
    CountedEvent,
    Outcome,
    QuestionWording,
    Standing,
    Submission,
    SubmittedAnswer,
    Tallied,
)
from core.models.survey import Survey, SurveyDraft, SurveyType, SurveyVersion
from core.models.survey_template import SurveyTemplate
from core.models.survey_translation import SurveyTranslation
from core.models.system_event import SystemEvent, Trouble
from core.models.upload import (
    ProblemUpload,
    ProcessedHour,
    ProcessingStatus,
    QueuedUpload,
    QueueState,
    Refusal,
    RefusedUpload,
    ServedParticipant,
    UploadRecord,
)
from core.models.used_form import UsedForm
from core.models.webhook import Webhook, WebhookEvent, WebhookEventType, WebhookSilence

__all__ = [
    "AccessKind",
    "AccountLink",
    "AlertRecipient",
    "AlertRule",
    "AlertSeen",
    "AnswerAlert",
    "AnswerTally",
    "ApiKey",
    "AppSettings",
    "AppSettingsVersion",
    "AppVersion",
    "AttemptKind",
    "AuditRecord",
    "BatchState",
    "BulkEdit",
    "BulkEditRow",
    "Channel",
    "Chunk",
    "Comparison",
    "ConsentSent",
    "ConsentVersion",
    "CountedEvent",
    "CredentialKind",
    "CustomField",
    "DailyStatistics",
    "DataAccessRecord",
    "Departure",
    "DepartureKind",
    "EventKind",
    "EventRebuild",
    "EventState",
    "Export",
    "ExportKind",
    "ExportParticipant",
    "ExportState",
    "FieldOption",
    "FieldValue",
    "FieldValueChange",
    "ForestDay",
    "ForestState",
    "ForestTask",
    "FormerTranslation",
    "Heartbeat",
    "Intervention",
    "InterventionDate",
    "MessageKind",
    "MessageState",
    "Note",
    "NotificationAttempt",
    "Outcome",
    "OutgoingMessage",
    "Participant",
    "ParticipantActivity",
    "ParticipantBatch",
    "ParticipantColumns",
    "ParticipantEvent",
    "Passkey",
    "Pause",
    "PhoneReport",
    "PortalSession",
    "ProblemUpload",
    "ProcessedHour",
    "ProcessingStatus",
    "Purge",
    "PushCredential",
    "PushMessage",
    "PushMessageEvent",
    "PushReceipt",
    "PushService",
    "PushServiceState",
    "PushToken",
    "QuantityDefaults",
    "QuestionWording",
    "QueueState",
    "QueuedUpload",
    "RecoveryCode",
    "Refusal",
    "RefusedUpload",
    "ReprocessingJob",
    "ReprocessingProgress",
    "Researcher",
    "Schedule",
    "ScheduledEvent",
    "Score",
    "ScoreRun",
    "ScoreValue",
    "ScoreVersion",
    "SealKind",
    "SenderPass",
    "SenderState",
    "ServedParticipant",
    "SignInFailures",
    "SignInOutcome",
    "SignInRecord",
    "Standing",
    "StatusReport",
    "StoredObject",
    "Study",
    "StudyLanguage",
    "StudyRole",
    "StudyRoleSite",
    "StudyStar",
    "Submission",
    "SubmittedAnswer",
    "Survey",
    "SurveyDraft",
    "SurveyExpiry",
    "SurveyTemplate",
    "SurveyTranslation",
    "SurveyType",
    "SurveyVersion",
    "Switch",
    "SwitchName",
    "SystemEvent",
    "Tallied",
    "Tally",
    "TaskState",
    "TreeName",
    "Trouble",
    "UploadRecord",
    "UsedChallenge",
    "UsedForm",
    "Webhook",
    "WebhookEvent",
    "WebhookEventType",
    "WebhookSilence",
    "WithdrawalReason",
]
