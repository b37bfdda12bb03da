"""The record of a download, written before its first byte is sent (DATA-26)."""

from collections.abc import Mapping, Sequence

from sqlalchemy.orm import Session

from core.audit import Actor
from core.audit.access_log import access_that_covers, record_access
from core.downloads.manifest import DownloadedObject
from core.downloads.query import DataQuery
from core.models import AccessKind, Study

# The fields that are kept. Others are left out: a misspelt field may hold a secret (DATA-26).
RECORDED = (
    "study_id",
    "study_pk",
    "data_streams",
    "participant_ids",
    "user_ids",
    "time_start",
    "time_end",
    "web_form",
    "version",
)


def record_download(
    session: Session,
    actor: Actor,
    study: Study,
    query: DataQuery,
    participants: Sequence[tuple[int, str]],
    fields: Mapping[str, list[str]],
) -> int:
    """Adds the record of a download with the fields that were sent, and returns its number; the caller commits.

    `participants` are those that the query selects, as (id, patient id).
    """
    return record_access(
        session,
        actor,
        AccessKind.DATA,
        study,
        participants=len(participants),
        patient_ids=None if query.patient_ids is None else [patient_id for _, patient_id in participants],
        streams=None if query.streams is None else [stream.value for stream in query.streams],
        parameters={name: values for name, values in fields.items() if name in RECORDED},
        registry_entries=None if query.registry is None else len(query.registry),
    )


def record_object(session: Session, actor: Actor, study: Study, wanted: DownloadedObject, access_id: int) -> int:
    """The number of the record under which one file is read: its manifest's, where that names it, else a new one.

    So a download of 200,000 files is one record, and a file cannot be read without any. The caller commits.
    """
    stream = wanted.stream.value
    if access_id and access_that_covers(session, access_id, actor, study, wanted.patient_id, stream):
        return access_id
    return record_access(
        session,
        actor,
        AccessKind.DATA,
        study,
        participants=1,
        patient_ids=[wanted.patient_id],
        streams=[stream],
        parameters={"version": ["3"], "file": wanted.name},
    )
