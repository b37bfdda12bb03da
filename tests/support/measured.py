"""Daily measures for tests, as if Forest's trees had run."""

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

from core.database import db
from core.models import Chunk, ForestDay, ForestTask, Participant
from core.streams import SPECS, DataStream

FIRST = date(2026, 3, 1)


def measured_days(participant: Participant, days: int = 12, shift: float = 0.0) -> None:
    """Measures of days from FIRST on: mobility imputed on the third, no row on the fifth, no steps on the second.

    Kilometres are 10 plus the day's number from 0, plus `shift`. Jasmine and oak ran; willow and sycamore never did.
    """
    tasks = {}
    for tree in ("jasmine", "oak"):
        task = ForestTask(
            study_id=participant.study_id,
            participant_id=participant.id,
            tree=tree,
            start_on=FIRST,
            end_on=FIRST + timedelta(days=days - 1),
            state="success",
            days_written=days - 1,
            zone="UTC",
            library_version="1.0",
            ended_at=datetime(2026, 3, 20, 4, tzinfo=UTC),
        )
        db.session.add(task)
        tasks[tree] = task
    db.session.flush()
    for number in range(days):
        if number != 4:
            _day(participant, number, shift, tasks)
    hour = datetime(2026, 3, 1, 8, tzinfo=UTC)
    of = {"participant_id": participant.id, "study_id": participant.study_id, "size_bytes": 9, "md5": b"m" * 16}
    number = SPECS[DataStream.ACCELEROMETER].number
    db.session.add_all([Chunk(stream=number, time_bin=hour + timedelta(hours=n), **of) for n in range(3)])
    db.session.commit()


def _day(participant: Participant, number: int, shift: float, tasks: dict[str, ForestTask]) -> None:
    values: dict[str, Any] = {
        "jasmine_distance_traveled": 10.0 + number + shift,
        "jasmine_home_duration": 12 + 4 * math.sin(number + shift),
        "jasmine_distance_from_home": 3.0 + number % 4 + shift,
        "jasmine_significant_location_count": 2 + number % 3 if number % 6 else None,
        "jasmine_obs_duration": 2.5 if number == 2 else 14.0 + number % 5,
        "oak_steps": None if number == 1 else 4_000.0 + 321 * (number % 7) + 100 * shift,
    }
    ids = {f"{tree}_task_id": task.id for tree, task in tasks.items()}
    day = FIRST + timedelta(days=number)
    db.session.add(ForestDay(participant_id=participant.id, study_id=participant.study_id, day=day, **values, **ids))
