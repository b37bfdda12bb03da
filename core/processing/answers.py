"""Files of answers of a batch: read beside the chunks, written as submissions in the batch's transaction (CLAR-56)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.answers.arriving import BROKEN, MISSING, MOST_FILE_BYTES, TOO_LARGE, ArrivedFile, answer_stream
from core.answers.outcomes import record_openings
from core.answers.writing import write_submissions
from core.bulk import is_one_of
from core.chunks.model import ChunkKey, NewRows
from core.models import Participant, Survey
from core.processing.fetching import StoredFile, fetch
from core.storage import SealedStore
from core.streams import BadFileTime, DataStream
from core.streams.paths import file_time


def read_answer_files(
    in_parallel: Callable[..., Iterable[bytes | Exception]], store: SealedStore, files: Sequence[StoredFile]
) -> list[ArrivedFile]:
    """Those of the files that are answers or recordings, with the contents of the former. Raises StoreUnavailable.

    Files without a usable time in their name are left out: they are not registered (PROC-39).
    """
    streams = {file.path: stream for file in files if (stream := answer_stream(file.path))}
    to_read = [file for file in files if streams.get(file.path) is DataStream.SURVEY_ANSWERS]
    fetched = fetch(in_parallel, store, [file for file in to_read if file.size_bytes <= MOST_FILE_BYTES], "")
    contents = {file.path: file.data for file in fetched.files}
    problems = dict.fromkeys(fetched.missing, MISSING) | dict.fromkeys(fetched.broken, BROKEN)
    now = datetime.now(UTC)
    arrived = []
    for file in files:
        if file.path not in streams:
            continue
        try:
            submitted_at = file_time(file.path, now)
        except BadFileTime:
            continue
        is_recording = streams[file.path] is DataStream.AUDIO_RECORDINGS
        has_contents = is_recording or file.path in contents
        arrived.append(
            ArrivedFile(
                file.path,
                submitted_at,
                file.received_at or now,
                file.os_type,
                file.app_version,
                is_recording,
                contents.get(file.path),
                None if has_contents else problems.get(file.path, TOO_LARGE),
            )
        )
    return arrived


def record_answers(
    session: Session, participant: Participant, arrived: Sequence[ArrivedFile], groups: Mapping[ChunkKey, NewRows]
) -> None:
    """Writes what arrived, and which surveys were seen by the rows of survey timings; the caller commits."""
    now = datetime.now(UTC)
    write_submissions(session, participant, arrived, now, is_new=True)
    timings = {key: rows for key, rows in groups.items() if key.stream is DataStream.SURVEY_TIMINGS and key.survey_id}
    if not timings:
        return
    query = sa.select(Survey.object_id, Survey.id)
    query = query.where(is_one_of(Survey.object_id, {key.survey_id for key in timings}))
    surveys = dict(session.execute(query.where(Survey.study_id == participant.study_id)).tuples().all())
    seen = {
        (participant.id, surveys[key.survey_id], at)
        for key, rows in timings.items()
        if key.survey_id in surveys
        for at in _seconds(rows)
    }
    record_openings(session, sorted(seen), now)


def _seconds(rows: NewRows) -> set[datetime]:
    """The whole seconds of the rows of a chunk."""
    lines = bytes(rows.text).split(b"\n")
    return {datetime.fromtimestamp(int(line[:10]), UTC) for line in lines if line[:13].isdigit()}
