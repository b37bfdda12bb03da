"""The record of a download, written before its first byte is sent (DATA-26)."""

from collections.abc import Mapping

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.models import DataAccessRecord, Researcher, Study

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
)


def record_download(
    session: Session,
    researcher: Researcher,
    study: Study,
    fields: Mapping[str, list[str]],
    registry_entries: int | None = None,
) -> int | None:
    """Adds the record of a download with the fields that were sent, and returns its number; the caller commits."""
    return session.scalar(
        insert(DataAccessRecord)
        .values(
            researcher_id=researcher.id,
            username=researcher.username,
            study_id=study.id,
            parameters={name: values for name, values in fields.items() if name in RECORDED},
            registry_entries=registry_entries,
        )
        .returning(DataAccessRecord.id)
    )
