"""Rebuilds, compares and replaces the chunks of one participant under its processing claim (OPS-20).

Uploads that still wait are read like all others: their own processing, which this holds off for the time being, finds
their rows there and changes nothing. Killed anywhere and run again, it ends in the same chunks and rows: a chunk that
was replaced is equal at the second look, and only its rows are put right.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.chunks.model import ChunkKey
from core.config import Settings
from core.models import Chunk, Participant, ReprocessingJob, ReprocessingProgress, Survey
from core.participants.departures import end_of_data
from core.processing.daily_quantities import days_of, recompute_days
from core.processing.holding import held_participant
from core.processing.recording import Recorder
from core.reprocessing.comparing import ChunkComparer, Compared, Outcome, Registered
from core.reprocessing.raw_files import Hours, RawReader, find_raw_files
from core.reprocessing.rebuilding import rebuild
from core.storage import ObjectChanged, ObjectMissing, ObjectStore, SealedStore
from core.streams import SPECS, DataStream, Platform, stream_by_number
from core.streams.paths import registered_path
from core.threads import Threads

THREADS = 4
PAGE_CHUNKS = 200
MOST_FINDINGS = 1_000
COUNTED_OUTCOMES = {
    Outcome.EQUAL: "equal",
    Outcome.CHANGED: "changed",
    Outcome.NEW: "new",
    Outcome.KEPT: "kept",
    Outcome.BROKEN: "broken",
    Outcome.UNBACKED: "unbacked",
}
COUNTS = (
    "raw_files",
    "raw_unreadable",
    *COUNTED_OUTCOMES.values(),
    "sourceless_rows",
    "rows_put_right",
    "bytes_before",
    "bytes_after",
)


def reprocess_participant(
    engine: sa.Engine, store: ObjectStore, settings: Settings, job: ReprocessingJob, participant_id: int
) -> bool:
    """Rebuilds every stream of the participant that the job has still to do; commits after each.

    Returns False if another process held the claim, or replaced a chunk first: another run must do the rest. Raises
    StoreUnavailable and the database's errors.
    """
    for stream in streams_of(job):
        with held_participant(engine, participant_id) as held:
            if held is None:
                return False
            session, participant = held
            if session.get(ReprocessingProgress, (job.id, participant_id, SPECS[stream].number)) is not None:
                continue
            session.commit()
            try:
                _reprocess_stream(session, store, settings, job, participant, stream)
            except (ObjectChanged, ObjectMissing):  # the claim was lost with its connection (STORE-11)
                session.rollback()
                return False
    return True


def streams_of(job: ReprocessingJob) -> list[DataStream]:
    """The chunked streams that the job is about."""
    if job.stream is not None:
        return [stream_by_number(job.stream)]
    return [stream for stream, spec in SPECS.items() if spec.is_chunked]


def _reprocess_stream(
    session: Session,
    store: ObjectStore,
    settings: Settings,
    job: ReprocessingJob,
    participant: Participant,
    stream: DataStream,
) -> None:
    """Chunks page by page, each page's rows in one transaction; the progress at the end."""
    hours = Hours(job.start_at, job.end_at)
    sealed = SealedStore(store, participant.study, settings)
    folder = f"{sealed.study_id}/{participant.patient_id}/"
    end = end_of_data(session, participant.id)
    present, missing = find_raw_files(session, store, folder, stream)
    work = _Work(session, sealed, participant, job, _registered(session, participant, stream, hours))
    session.commit()
    with Threads(THREADS) as threads:
        reader = RawReader(
            session,
            sealed,
            folder,
            stream,
            hours,
            datetime.now(UTC),
            settings,
            threads.map,
            reads_all=job.drops_rows,
            corrects_log=not job.is_dry_run,
            end=end,
        )
        for contents in rebuild(reader, present, work.platform):
            # A raw file that is there and does not open may hold the rows that have no other source.
            drops_rows = job.drops_rows and not reader.unreadable
            while contents:  # which empties: nothing is held longer than it is needed
                page = dict(contents.popitem() for _ in range(min(PAGE_CHUNKS, len(contents))))
                work.compare(page, threads, drops_rows)
    work.counts["raw_files"] = len(present)
    _store_progress(work, stream, missing, reader.unreadable)
    session.commit()


def _store_progress(work: "_Work", stream: DataStream, missing: Collection[str], unreadable: dict[str, str]) -> None:
    """The counts and findings of a stream as its row of progress: raw files first, then chunks, each by path."""
    unbacked = sorted(work.registry.keys() - work.built)
    work.counts["unbacked"] = len(unbacked)
    work.counts["raw_unreadable"] = len(missing) + len(unreadable)
    findings = [_finding(path, "raw file missing in the store") for path in sorted(missing)]
    findings += [_finding(path, f"raw file: {reason}") for path, reason in sorted(unreadable.items())]
    findings += sorted(work.findings, key=lambda finding: str(finding["path"]))
    findings += [_finding(path, Outcome.UNBACKED) for path in unbacked]
    row = insert(ReprocessingProgress).values(
        job_id=work.job.id,
        participant_id=work.participant.id,
        stream=SPECS[stream].number,
        counts=dict(work.counts),
        findings=findings[:MOST_FINDINGS],
    )
    work.session.execute(row.on_conflict_do_nothing())


@dataclass
class _Work:
    """Chunks of one participant and stream on their way; `registry` and `built` are by path."""

    session: Session
    sealed: SealedStore
    participant: Participant
    job: ReprocessingJob
    registry: dict[str, Registered]
    built: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(COUNTS, 0)))
    findings: list[dict[str, Any]] = field(default_factory=list)

    @property
    def platform(self) -> Platform:
        return Platform(self.participant.os_type or Platform.ANDROID)

    def compare(self, page: dict[ChunkKey, bytes], threads: Threads, drops_rows: bool) -> None:
        """Corrects these chunks; registry, stored objects and daily quantities change in one transaction."""
        recorder = Recorder(self.session, self.participant)
        known = recorder.known_chunks(page)
        self.session.commit()
        comparer = ChunkComparer(
            self.sealed,
            self.participant.patient_id,
            self.platform,
            known,
            self.registry,
            drops_rows,
            self.job.is_dry_run,
        )
        compared = threads.map(comparer.compare, page.keys(), page.values())
        if written := [c.written for c in compared if c.written]:
            recorder.record_chunks(written)
            days = days_of((w.key.time_bin for w in written), self.participant.study.zone)
            recompute_days(self.session, self.participant, days)
        self.session.commit()
        self.built.update(c.path for c in compared)
        for c in compared:
            self._count(c)

    def _count(self, c: Compared) -> None:
        self.counts[COUNTED_OUTCOMES[c.outcome]] += 1
        self.counts["sourceless_rows"] += c.sourceless_rows
        self.counts["rows_put_right"] += bool(c.written) and c.outcome is Outcome.EQUAL
        self.counts["bytes_before"] += c.bytes_before
        self.counts["bytes_after"] += c.bytes_after
        if c.sourceless_rows or c.reason:
            what = ", ".join(filter(None, (c.outcome.value, c.reason)))
            self.findings.append(_finding(c.path, what, c.sourceless_rows))


def _finding(path: str, what: str, rows: int = 0) -> dict[str, Any]:
    return {"path": path, "what": what, "rows": rows}


def _registered(session: Session, participant: Participant, stream: DataStream, hours: Hours) -> dict[str, Registered]:
    """The stream's chunks in the registry, by path, with their hash and size."""
    query = (
        sa.select(Chunk.time_bin, Chunk.path, Chunk.md5, Chunk.size_bytes, Survey.object_id)
        .outerjoin(Survey, Survey.id == Chunk.survey_id)
        .where(Chunk.participant_id == participant.id, Chunk.stream == SPECS[stream].number)
    )
    if hours.start is not None:
        query = query.where(Chunk.time_bin >= hours.start)
    if hours.end is not None:
        query = query.where(Chunk.time_bin < hours.end)
    study_id, patient_id = participant.study.object_id, participant.patient_id
    return {
        registered_path(study_id, patient_id, row.path, stream, row.time_bin, row.object_id): Registered(
            row.md5, row.size_bytes
        )
        for row in session.execute(query)
    }
