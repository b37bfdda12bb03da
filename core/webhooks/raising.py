"""Notes events that webhooks are told of, in the transaction in which they happen (CLAR-58, CLAR-75).

Only what phones have just uploaded is noted: imports, reprocessing and duplicates raise nothing.
"""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import Participant, WebhookEvent, WebhookEventType
from core.streams import DataStream

_ANSWERS = sa.text(
    """
    INSERT INTO webhook_events (study_id, participant_id, kind, data, at)
    SELECT survey.study_id, one.participant_id, :kind, jsonb_build_object(
        'survey', survey.id, 'submission', one.id, 'answered_at', one.submitted_at, 'uploaded_at', one.received_at),
        :now
    FROM submissions AS one JOIN surveys AS survey ON survey.id = one.survey_id
    WHERE one.id = ANY(:ids) AND EXISTS (
        SELECT FROM webhooks AS told WHERE told.study_id = survey.study_id AND told.is_on AND :kind = ANY(told.events))
    ORDER BY one.id
    """
)


def note_processed_data(
    session: Session, participant: Participant, changed: Iterable[tuple[DataStream, datetime]]
) -> None:
    """Notes that files of these streams and time bins were written in a batch of the participant.

    One statement; none if nothing was written, or no webhook of the study is told of it. The caller commits.
    """
    if not participant.study.is_told_of_data:
        return
    files = list(changed)
    if not files:
        return
    bins = [time_bin for _, time_bin in files]
    data = {
        "streams": sorted({stream.value for stream, _ in files}),
        "first_time_bin": min(bins).isoformat(),
        "last_time_bin": max(bins).isoformat(),
        "chunks": len(files),
    }
    row = {"study_id": participant.study_id, "participant_id": participant.id, "data": data, "at": datetime.now(UTC)}
    session.execute(sa.insert(WebhookEvent).values(kind=WebhookEventType.DATA_PROCESSED.value, **row))


def note_answers(session: Session, submission_ids: Collection[int]) -> None:
    """Notes that these submissions arrived, where a webhook is told of them; one statement. The caller commits."""
    if submission_ids:
        kind = WebhookEventType.ANSWER_ARRIVED.value
        session.execute(_ANSWERS, {"kind": kind, "ids": list(submission_ids), "now": datetime.now(UTC)})
