"""Scheduled events of a large study: `python -m tests.benchmarks.bench_events`.

Prints one JSON line for each study: 1,000 and 10,000 participants with 3 surveys of 14 weekly times each, then with a
random schedule of 6 prompts a day for each survey in place of them, then with weekly times of two arms. Seconds to
create all events from none, events a second, seconds to find that nothing changed, and by how much the process's memory
grew at most (MB), by `rebuild_study`, a thousand participants to a transaction. Raises if memory grows with the number
of participants, or a second rebuild changes something.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from datetime import time as time_of_day

import sqlalchemy as sa

from core.audit import SERVER
from core.database import db
from core.models import CustomField, FieldValue, Participant, Schedule, Study, Survey, SurveyType
from core.studies import create_study
from core.surveys.rebuilding import rebuild_study
from core.surveys.saving import SurveyChanges, add_survey
from core.surveys.schedules import Arm, Planned, Random, Weekly
from core.surveys.timing_rows import row_of
from tests.benchmarks.measure import growth_mb, report
from tests.benchmarks.serving import migrated

NOW = datetime(2024, 6, 3, 12, tzinfo=UTC)  # a Monday morning in New York
SURVEYS = 3
MOST_GROWTH = 1.5


def weekly(field_id: int) -> list[Planned]:
    """Fourteen times a week."""
    return [Planned(Weekly(day, time_of_day(hour))) for day in range(7) for hour in (9, 20)]


def random(field_id: int) -> list[Planned]:
    """Six prompts a day."""
    return [Planned(Random(tuple(range(7)), time_of_day(9), time_of_day(21), 6, 60))]


def arms(field_id: int) -> list[Planned]:
    """Fourteen times a week for each of two arms."""
    return [Planned(each.timing, Arm(field_id, value)) for value in "AB" for each in weekly(field_id)]


def main() -> None:
    """Runs the benchmark."""
    with migrated():
        for planned in (weekly, random, arms):
            grown = [measure(planned, participants) for participants in (1_000, 10_000)]
            assert grown[1] < MOST_GROWTH * grown[0] + 20, grown


def measure(planned: Callable[[int], Sequence[Planned]], participants: int) -> float:
    """Prints the line of one study; gives the growth of memory in MB."""
    number = make_study(planned, participants)
    seconds: list[float] = []

    def run() -> int:
        began = time.perf_counter()
        done = rebuild_study(db.engine, number, NOW)
        seconds.append(time.perf_counter() - began)
        return done.created + done.removed

    created: list[int] = []
    grown = growth_mb(lambda: created.append(run()))
    db.session.execute(sa.text("ANALYZE scheduled_events"))
    db.session.commit()
    assert run() == 0
    report(
        f"events_{planned.__name__}",
        participants=participants,
        events=created[0],
        create_s=seconds[0],
        events_per_s=created[0] / seconds[0],
        unchanged_s=seconds[1],
        memory_mb=grown,
    )
    return grown


def make_study(planned: Callable[[int], Sequence[Planned]], participants: int) -> int:
    """A study with schedules and participants, half of them of each arm, without events; its number."""
    session = db.session()
    study: Study = create_study(session, f"{planned.__name__} {participants}", actor=SERVER)
    session.flush()
    field = CustomField(study_id=study.id, name="Group")
    session.add(field)
    session.flush()
    surveys: list[Survey] = [
        add_survey(session, study, SurveyType.TRACKING, SurveyChanges(), NOW, actor=SERVER) for _ in range(SURVEYS)
    ]
    rows = [row_of(survey.id, each.timing, each.arm) for survey in surveys for each in planned(field.id)]
    session.execute(sa.insert(Schedule), rows)
    prefix = f"{study.id:02}".replace("0", "z")
    people = [
        {"patient_id": f"{prefix}{n:06}".replace("0", "z"), "study_id": study.id, "password_hash": "x"}
        for n in range(participants)
    ]
    ids = session.scalars(sa.insert(Participant).returning(Participant.id), people).all()
    values = [{"participant_id": n, "field_id": field.id, "value": "AB"[n % 2]} for n in ids]
    session.execute(sa.insert(FieldValue), values)
    session.commit()
    return study.id


if __name__ == "__main__":
    main()
