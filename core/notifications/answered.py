"""When participants last answered surveys, as far as their uploads tell (NOTIF-24)."""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.bulk import is_one_of
from core.models import UploadRecord
from core.streams import SPECS, BadFileTime, DataStream
from core.streams.paths import file_time, survey_of_path

ANSWER_STREAMS = tuple(SPECS[stream].number for stream in (DataStream.SURVEY_ANSWERS, DataStream.AUDIO_RECORDINGS))


def newest_answers(
    session: Session, participant_ids: Collection[int], since: datetime, now: datetime
) -> dict[tuple[int, str], datetime]:
    """By participant and survey id, the time of the newest submission uploaded since then; one query.

    A submission's time is that in its file's name. A file without one counts from its upload.
    """
    if not participant_ids:
        return {}
    query = sa.select(UploadRecord.participant_id, UploadRecord.path, UploadRecord.received_at).where(
        is_one_of(UploadRecord.participant_id, participant_ids),
        UploadRecord.received_at >= since,
        UploadRecord.stream.in_(ANSWER_STREAMS),
    )
    newest: dict[tuple[int, str], datetime] = {}
    for participant_id, path, received_at in session.execute(query):
        if survey := survey_of_path(path):
            at = _submitted_at(path, received_at, now)
            newest[participant_id, survey] = max(at, newest.get((participant_id, survey), at))
    return newest


def _submitted_at(path: str, received_at: datetime, now: datetime) -> datetime:
    try:
        return file_time(path, now)
    except BadFileTime:
        return received_at
