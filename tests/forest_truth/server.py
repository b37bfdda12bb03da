"""The participant on our server: surveys and events, chunks in the store, tasks, measures in the database."""

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa

from core.audit import SERVER
from core.chunks.binning import bin_files
from core.chunks.merge import merge_chunk
from core.chunks.model import RawFile
from core.database import db
from core.forest.results import column_of
from core.forest.run import Outcome, run_task
from core.forest.tasks import claim_next, create_tasks
from core.forest.trees import MEASURES, Tree
from core.models import Chunk, CountedEvent, CustomField, ForestDay, Participant, ScheduledEvent, Study, Survey
from core.streams import SPECS, DataStream, Platform
from core.streams.paths import registered_path
from core.studies.changing import set_forest
from core.surveys.schedules import Arm, Random, Timing, Weekly
from tests.forest_truth.life import CALLS, SURVEYS, TEXTS, Life, ms
from tests.forest_truth.truth import TRUTH
from tests.support.factories import Factory
from webapp.stores import object_store, settings

FOLDERS = {
    DataStream.ACCELEROMETER: "accel",
    DataStream.GPS: "gps",
    DataStream.CALLS: "callLog",
    DataStream.TEXTS: "textsLog",
}
HEADERS = {
    "accel": "timestamp,accuracy,x,y,z",
    "gps": "timestamp, latitude, longitude, altitude, accuracy",
    "callLog": "hashed phone number,call type,timestamp,duration in seconds",
    "textsLog": "timestamp,hashed phone number,sent vs received,message length,time sent",
    "surveyTimings": "timestamp,question id,question type,question text,question answer options,answer",
}


@dataclass(frozen=True)
class Line:
    """A measure of a day, what is true, and how far it may be from that."""

    day: date
    field: str
    true: float | None
    measured: float | None
    tolerance: float

    @property
    def is_right(self) -> bool:
        if self.true is None or self.measured is None:
            return self.true is self.measured
        return abs(self.true - self.measured) <= self.tolerance


def settle(life: Life, factory: Factory, streams: Sequence[DataStream] = tuple(FOLDERS)) -> Participant:
    """The participant, with surveys, events and chunks, in a study with Forest."""
    study = factory.study(timezone_name=life.zone.key)
    set_forest(db.session(), study, True, actor=SERVER)
    participant = factory.participant(study)
    store_chunks(factory, participant, phone_files(life, streams) + _surveys(life, factory, participant))
    return participant


def phone_files(life: Life, streams: Iterable[DataStream]) -> list[RawFile]:
    """One file of each stream, as a phone makes it."""
    return [_file(FOLDERS[stream], life.first, _rows(life, stream)) for stream in streams]


def store_chunks(factory: Factory, participant: Participant, files: Iterable[RawFile]) -> None:
    """Makes chunks of a phone's files with the code of processing, stores and registers them."""
    study, store = participant.study, factory.store(participant.study)
    surveys = dict(db.session.execute(sa.select(Survey.object_id, Survey.id)).tuples().all())
    batch = bin_files(files, datetime.now(UTC))
    assert not batch.problems, batch.problems
    for key, rows in batch.groups.items():
        contents = merge_chunk(key, Platform.ANDROID, rows, None)
        survey_id = key.survey_id
        path = registered_path(study.object_id, participant.patient_id, None, key.stream, key.time_bin, survey_id)
        store.create(path, contents)
        of = {"participant_id": participant.id, "study_id": study.id, "survey_id": surveys.get(survey_id or "")}
        db.session.add(Chunk(stream=SPECS[key.stream].number, time_bin=key.time_bin, size_bytes=len(contents), **of))
    db.session.commit()


def measure(participant: Participant, trees: Sequence[str], days: Sequence[date]) -> list[Outcome]:
    """Queues a task for each tree over the days, and runs them as the server does."""
    session = db.session()
    study = session.get_one(Study, participant.study_id)
    create_tasks(session, study, [participant.patient_id], trees, days[0], days[-1], actor=SERVER)
    session.commit()
    outcomes = []
    while (number := claim_next(db.engine, datetime.now(UTC))) is not None:
        outcomes.append(run_task(db.engine, object_store(), settings(), number))
    session.expire_all()
    return outcomes


def compared(life: Life, participant: Participant, trees: Iterable[str], days: Iterable[date]) -> list[Line]:
    """The measures in the database beside the true ones."""
    zone = db.session.get_one(Study, participant.study_id).zone
    query = sa.select(ForestDay).where(ForestDay.participant_id == participant.id)
    rows = {row.day: row for row in db.session.scalars(query)}
    return [
        Line(day, field, true, getattr(rows.get(day), column_of(field), None), tolerance)
        for tree in trees
        for day in days
        for field, (true, tolerance) in TRUTH[tree](life, day, zone).items()
    ]


def _rows(life: Life, stream: DataStream) -> Iterable[str]:
    match stream:
        case DataStream.ACCELEROMETER:
            return life.accelerometer()
        case DataStream.GPS:
            return life.gps()
        case DataStream.CALLS:
            after = life.bounds(life.days[-1], life.zone)[1] + timedelta(hours=2)
            calls = [(life.at(day, clock), kind, who, seconds) for day, clock, kind, who, seconds in CALLS]
            calls.append((after, "Incoming Call", "Eva", 5))  # the days after are not empty
            return (f"{who},{kind},{ms(at)},{seconds}" for at, kind, who, seconds in calls)
        case _:
            texts = ((ms(life.at(day, clock)), kind, who, size) for day, clock, kind, who, size in TEXTS)
            return (f"{at},{who},{kind},{size},{at}" for at, kind, who, size in texts)


def _surveys(life: Life, factory: Factory, participant: Participant) -> list[RawFile]:
    """Surveys with each kind of schedule, the participant's events, somebody else's, and the files of timings."""
    study = participant.study
    arm = CustomField(study_id=study.id, name="Arm")
    db.session.add(arm)
    db.session.commit()
    timings: dict[str, tuple[list[Timing], Arm | None]] = {
        "daily": ([Weekly(weekday, time(9)) for weekday in range(7)], None),
        "random": ([Random(tuple(range(7)), time(0), time(20), 3, 60)], None),
        "arm": ([Weekly(weekday, time(20)) for weekday in range(7)], Arm(arm.id, "A")),
    }
    somebody_else = factory.participant(study)
    files = []
    for name, (of_survey, in_arm) in timings.items():
        question = str(uuid.uuid5(uuid.NAMESPACE_OID, name))
        content = [{"question_id": question, "question_text": name, "question_type": "slider", "min": "0", "max": "9"}]
        survey = factory.survey(study, content=json.dumps(content))
        schedules = [factory.schedule(survey, timing, in_arm) for timing in of_survey]
        if name != "daily":
            sent = [life.at(day, clock) for survey_name, day, clock, *_ in SURVEYS if survey_name == name]
            for place, at in enumerate(sent):
                of = {"survey_id": survey.id, "participant_id": participant.id, "scheduled_at": at}
                db.session.add(ScheduledEvent(schedule_id=schedules[0].id, **of) if place % 2 else _counted(of, at))
            of = {"survey_id": survey.id, "participant_id": somebody_else.id}
            others = life.at(0, "19:19")
            db.session.add(ScheduledEvent(schedule_id=schedules[0].id, scheduled_at=others, **of))
            db.session.commit()
        files += _answered(life, name, survey.object_id, question)
    return files


def _counted(of: dict[str, Any], at: datetime) -> CountedEvent:
    """An old event, whose scheduled one is gone."""
    return CountedEvent(counts_at=at, expires_at=at + timedelta(hours=1), on_day=at.date(), **of)


def _answered(life: Life, name: str, survey_id: str, question: str) -> list[RawFile]:
    files = []
    for survey_name, day, clock, opened, lasted in SURVEYS:
        if survey_name != name or opened is None:
            continue
        first = life.at(day, clock) + timedelta(seconds=opened)
        rows = [f"{ms(first)},Survey first rendered and displayed to user,,,,"]
        rows.append(f"{ms(first + timedelta(seconds=5))},{question},Slider Question,{name},min = 0; max = 9,4")
        if lasted is not None:
            rows.append(f"{ms(first + timedelta(seconds=lasted))},User hit submit,,,,")
        files.append(_file(f"surveyTimings/{survey_id}", first, rows))
    return files


def _file(folder: str, at: date | datetime, rows: Iterable[str]) -> RawFile:
    """A file as a phone names it."""
    begin = at if isinstance(at, datetime) else datetime.combine(at, time(), UTC)
    text = "\n".join([HEADERS[folder.partition("/")[0]], *rows]) + "\n"
    return RawFile(f"{folder}/{ms(begin)}.csv", text.encode(), Platform.ANDROID)


ALL_TREES = tuple(tree.value for tree in Tree)
assert set(ALL_TREES) == set(MEASURES)
