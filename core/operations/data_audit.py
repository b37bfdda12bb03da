"""Audits the data by study and participant: impossible times, empty uploads, registry rows without objects.

Counts and examples. Read participant by participant along the indexes, in pages (OPS-20, OPS-60).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import (
    Chunk,
    DailyStatistics,
    Participant,
    QueuedUpload,
    QueueState,
    StoredObject,
    Study,
    Survey,
    UploadRecord,
)
from core.processing.daily_quantities import days_of, recompute_days
from core.processing.holding import held_participant
from core.storage.sealed import SUFFIX
from core.streams import SPECS, DataStream, stream_by_number
from core.streams.paths import EARLIEST, LATEST_AHEAD, registered_path

PAGE_ROWS = 5_000
PAGE_PARTICIPANTS = 500
MOST_LISTED = 100
MOST_REASONS = 100
STREAMS = [spec.number for spec in SPECS.values()]
# An empty scan is an answer too, and one without rows is of the last access point alone (PROC-21).
MAY_BE_EMPTY = frozenset((DataStream.WIFI, DataStream.SURVEY_TIMINGS))
NEVER_EMPTY = [s.number for s in SPECS.values() if s.is_chunked and s.stream not in MAY_BE_EMPTY]


@dataclass
class Oddities:
    """Counts, and up to 100 paths of each kind.

    `impossible_rows`: registry rows from before 2014-08-01 or more than 90 days ahead, `impossible_days` their daily
    summaries, `removed_rows` how many of both were removed. `header_only`: processed uploads that held no row.
    `without_object_row`: registry rows whose object no row of `stored_objects` knows.
    """

    impossible_rows: int = 0
    impossible_days: int = 0
    removed_rows: int = 0
    header_only: int = 0
    header_only_bytes: int = 0
    without_object_row: int = 0
    impossible_paths: list[str] = field(default_factory=list)
    header_only_paths: list[str] = field(default_factory=list)
    without_object_row_paths: list[str] = field(default_factory=list)

    def add(self, other: "Oddities") -> None:
        """Adds the counts of another report, and as much of its lists as the limit allows."""
        for name, value in vars(other).items():
            mine = getattr(self, name)
            setattr(self, name, (mine + value)[:MOST_LISTED] if isinstance(value, list) else mine + value)

    def counts(self) -> dict[str, int]:
        return {name: value for name, value in vars(self).items() if isinstance(value, int)}

    def findings(self) -> list[dict[str, str]]:
        """Everything listed, each {path, what}."""
        listed = {
            "from an impossible time": self.impossible_paths,
            "holds a header only": self.header_only_paths,
            "no stored-object row": self.without_object_row_paths,
        }
        return [{"path": path, "what": what} for what, paths in listed.items() for path in paths]


@dataclass(frozen=True)
class AuditedParticipant:
    """One participant, the study's 24-character id, and the findings."""

    patient_id: str
    study_id: str
    oddities: Oddities


def audit_participants(
    engine: sa.Engine, now: datetime, study_id: int | None = None, after: str = "", *, fixes: bool = False
) -> Iterator[AuditedParticipant]:
    """Audits participants after the patient id `after`, in order of patient ids, except those waiting for a purge.

    `fixes` removes registry rows and daily summaries from impossible times, never objects; participants whose uploads
    are being processed are left for the next time. Raises the database's errors.
    """
    while page := _page(engine, study_id, after):
        for participant_id, patient_id in page:
            with Session(engine, expire_on_commit=False) as session:
                participant = session.get_one(
                    Participant, participant_id, options=[sa.orm.joinedload(Participant.study)]
                )
                odd = _audit(session, participant, now)
            if fixes and (odd.impossible_rows or odd.impossible_days):
                odd.removed_rows = _remove_impossible(engine, participant_id, now)
            yield AuditedParticipant(patient_id, participant.study.object_id, odd)
        after = page[-1][1]


def audit_queue(session: Session, study_id: int | None = None) -> list[dict[str, Any]]:
    """The queue by study: `oldest_waiting` (UTC, or None) and `failed`, files set aside by reason, most first."""
    is_failed = QueuedUpload.state == QueueState.FAILED.value
    reason = sa.case((is_failed, QueuedUpload.reason))
    query = (
        sa.select(
            Study.object_id,
            QueuedUpload.state,
            reason.label("reason"),
            sa.func.count().label("files"),
            sa.func.min(QueuedUpload.received_at).label("oldest"),
        )
        .join(Study, Study.id == QueuedUpload.study_id)
        .group_by(Study.object_id, QueuedUpload.state, reason)
        .order_by(Study.object_id, sa.desc("files"))
    )
    if study_id is not None:
        query = query.where(QueuedUpload.study_id == study_id)
    found: dict[str, dict[str, Any]] = {}
    for row in session.execute(query):
        of_study = found.setdefault(row.object_id, {"study": row.object_id, "oldest_waiting": None, "failed": {}})
        if row.state == QueueState.WAITING.value:
            of_study["oldest_waiting"] = row.oldest
        elif len(of_study["failed"]) < MOST_REASONS:
            of_study["failed"][row.reason or ""] = row.files
    session.commit()
    return list(found.values())


def _page(engine: sa.Engine, study_id: int | None, after: str) -> list[tuple[int, str]]:
    query = sa.select(Participant.id, Participant.patient_id).where(
        Participant.patient_id > after, Participant.purge_asked_at.is_(None), Participant.purged_at.is_(None)
    )
    if study_id is not None:
        query = query.where(Participant.study_id == study_id)
    with Session(engine) as session:
        rows = session.execute(query.order_by(Participant.patient_id).limit(PAGE_PARTICIPANTS))
        return [(row.id, row.patient_id) for row in rows]


def _audit(session: Session, participant: Participant, now: datetime) -> Oddities:
    odd = Oddities()
    _count_impossible(session, participant, now, odd)
    _count_header_only(session, participant, odd)
    _count_without_object_row(session, participant, odd)
    session.commit()
    return odd


def _is_impossible(participant_id: int, now: datetime) -> sa.ColumnElement[bool]:
    """Impossible times of the participant. Naming all streams allows the index on participant, stream and time."""
    return sa.and_(
        Chunk.participant_id == participant_id,
        Chunk.stream.in_(STREAMS),
        sa.or_(Chunk.time_bin < EARLIEST, Chunk.time_bin > now + LATEST_AHEAD),
    )


def _is_impossible_day(participant: Participant, now: datetime) -> sa.ColumnElement[bool]:
    """Condition for days of the study's zone that contain no possible hour."""
    zone = participant.study.zone
    first, last = EARLIEST.astimezone(zone).date(), (now + LATEST_AHEAD).astimezone(zone).date()
    return sa.and_(
        DailyStatistics.participant_id == participant.id,
        sa.or_(DailyStatistics.day < first, DailyStatistics.day > last),
    )


def _count_impossible(session: Session, participant: Participant, now: datetime, odd: Oddities) -> None:
    where = _is_impossible(participant.id, now)
    odd.impossible_rows = session.scalar(sa.select(sa.func.count()).select_from(Chunk).where(where)) or 0
    if odd.impossible_rows:
        rows = session.execute(_chunks().where(where).order_by(Chunk.stream, Chunk.time_bin).limit(MOST_LISTED))
        odd.impossible_paths = [_path(participant, row) for row in rows]
    days = sa.select(sa.func.count()).select_from(DailyStatistics).where(_is_impossible_day(participant, now))
    odd.impossible_days = session.scalar(days) or 0


def _count_header_only(session: Session, participant: Participant, odd: Oddities) -> None:
    where = sa.and_(
        UploadRecord.participant_id == participant.id,
        UploadRecord.processed_at.is_not(None),
        UploadRecord.first_bin.is_(None),
        UploadRecord.dropped_rows.is_(None),
        UploadRecord.stream.in_(NEVER_EMPTY),
    )
    totals = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(UploadRecord.size_bytes), 0)).where(where)
    odd.header_only, odd.header_only_bytes = (int(value) for value in session.execute(totals).one())
    if odd.header_only:
        paths = sa.select(UploadRecord.path).where(where).order_by(UploadRecord.received_at)
        odd.header_only_paths = list(session.scalars(paths.limit(MOST_LISTED)))


def _count_without_object_row(session: Session, participant: Participant, odd: Oddities) -> None:
    """Reads the registry in pages along its index, with one query of the stored objects for each page."""
    order = (Chunk.stream, Chunk.time_bin, Chunk.id)
    query = _chunks().where(Chunk.participant_id == participant.id).order_by(*order).limit(PAGE_ROWS)
    rows = session.execute(query).all()
    while rows:
        paths = [_path(participant, row) for row in rows]
        keys = [path + SUFFIX for path in paths]
        known = set(session.scalars(sa.select(StoredObject.path).where(StoredObject.path.in_(keys))))
        session.commit()
        lost = [path for path in paths if path + SUFFIX not in known]
        odd.without_object_row += len(lost)
        odd.without_object_row_paths += lost[: MOST_LISTED - len(odd.without_object_row_paths)]
        last = rows[-1]
        behind = sa.tuple_(*order) > sa.tuple_(sa.literal(last.stream), sa.literal(last.time_bin), sa.literal(last.id))
        rows = session.execute(query.where(behind)).all()


def _remove_impossible(engine: sa.Engine, participant_id: int, now: datetime) -> int:
    """Removes impossible rows under the participant's claim, in one transaction. Returns 0 if the claim is taken."""
    with held_participant(engine, participant_id) as held:
        if held is None:
            return 0
        session, participant = held
        gone = sa.delete(Chunk).where(_is_impossible(participant_id, now)).returning(Chunk.time_bin)
        hours: list[datetime] = list(session.scalars(gone))
        gone_days = sa.delete(DailyStatistics).where(_is_impossible_day(participant, now))
        days: set[date] = set(session.scalars(gone_days.returning(DailyStatistics.day)))
        # The day at the limit also holds hours that stay.
        recompute_days(session, participant, days_of(hours, participant.study.zone) - days)
        session.commit()
        return len(hours) + len(days)


def _chunks() -> sa.Select[Any]:
    return sa.select(
        Chunk.id, Chunk.stream, Chunk.time_bin, Chunk.path, Survey.object_id.label("survey_object_id")
    ).outerjoin(Survey, Survey.id == Chunk.survey_id)


def _path(participant: Participant, row: Any) -> str:
    stream, study_id = stream_by_number(row.stream), participant.study.object_id
    return registered_path(study_id, participant.patient_id, row.path, stream, row.time_bin, row.survey_object_id)
