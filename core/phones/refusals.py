"""Records uploads that were not stored, so that every file can be traced by its name (PHONE-64)."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.models import Participant, RefusedUpload
from core.phones.upload_outcomes import UploadOutcome

MOST_NAME_CHARACTERS = 300
MOST_BYTES = 2**63 - 1  # the largest value of the column; a phone may claim any length


def note_refusal(
    session: Session,
    participant: Participant,
    file_name: str,
    size_bytes: int,
    outcome: UploadOutcome,
    told: int,
    now: datetime,
) -> None:
    """Counts the refusal, one row for each name and reason however often the phone comes back; commits.

    `told` is the status code of the answer: with 200 the phone deletes its copy.
    """
    assert outcome.refusal is not None
    row = insert(RefusedUpload).values(
        participant_id=participant.id,
        file_name=file_name[:MOST_NAME_CHARACTERS],
        reason=outcome.refusal.value,
        status=told,
        size_bytes=min(size_bytes, MOST_BYTES),
        first_at=now,
        last_at=now,
    )
    newest = {name: row.excluded[name] for name in ("status", "size_bytes", "last_at")}
    session.execute(
        row.on_conflict_do_update(
            index_elements=["participant_id", "file_name", "reason"],
            set_={"times": sa.func.least(RefusedUpload.times + 1, 2**31 - 1), **newest},
        )
    )
    session.commit()
