"""The tables, one file per aggregate. Queries stand beside the model they read, named as the question they answer."""

from core.models.app_settings import AppSettings
from core.models.chunk import Chunk
from core.models.data_access import DataAccessRecord
from core.models.participant import Heartbeat, Participant, ParticipantActivity
from core.models.push_token import PushService, PushToken
from core.models.researcher import ApiKey, Researcher, StudyRole
from core.models.stored_object import SealKind, StoredObject
from core.models.study import Study
from core.models.survey import Survey, SurveyType
from core.models.upload import (
    ProblemUpload,
    ProcessingStatus,
    QueuedUpload,
    QueueState,
    ServedParticipant,
    UploadRecord,
)

__all__ = [
    "ApiKey",
    "AppSettings",
    "Chunk",
    "DataAccessRecord",
    "Heartbeat",
    "Participant",
    "ParticipantActivity",
    "ProblemUpload",
    "ProcessingStatus",
    "PushService",
    "PushToken",
    "QueueState",
    "QueuedUpload",
    "Researcher",
    "SealKind",
    "ServedParticipant",
    "StoredObject",
    "Study",
    "StudyRole",
    "Survey",
    "SurveyType",
    "UploadRecord",
]
