"""A day of GPS for tests, in the store and in the registry."""

import math
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

from core.database import db
from core.models import Chunk, Participant
from core.streams import SPECS, DataStream
from core.streams.paths import registered_path
from tests.support.factories import Factory

LATITUDE = 42.3371
HEADER = "timestamp,UTC time,latitude,longitude,altitude,accuracy"


def tracked_day(
    factory: Factory, participant: Participant, day: date, hours: Iterable[int] = range(13), longitude: float = -71.1064
) -> None:
    """Hours of the study's clock with a position every half minute, and a row without any.

    At home until 9:00, then 3 km to the east of it, from 12:00 on 4 km to the north of there.
    """
    zone = participant.study.zone
    starts = [datetime.combine(day, time(hour), zone).astimezone(UTC) for hour in hours]
    tracked_hours(factory, participant, starts, longitude)


def tracked_hours(
    factory: Factory, participant: Participant, starts: Iterable[datetime], longitude: float = -71.1064
) -> None:
    """Chunks of the hours that start then (UTC): where the participant is follows from the start's hour by the clock.

    Positions are those of `tracked_day`.
    """
    study, store = participant.study, factory.store(participant.study)
    degree = 111.195
    for at in starts:
        hour = at.astimezone(study.zone).hour
        east, north = (3.0 if hour >= 9 else 0.0), (4.0 if hour >= 12 else 0.0)
        lines = [HEADER, f"{int(at.timestamp() * 1000)},no time,,,,"]
        for step in range(120):
            moment = at + timedelta(seconds=30 * step)
            wander = 0.01 * math.sin(step)
            where = longitude + (east + wander) / (degree * math.cos(math.radians(LATITUDE)))
            where = (where + 180) % 360 - 180
            stamp = int(moment.timestamp() * 1000)
            lines.append(f"{stamp},{moment:%Y-%m-%dT%H:%M:%S.000},{LATITUDE + north / degree:.7f},{where:.7f},10,5")
        contents = "\n".join(lines).encode()
        path = registered_path(study.object_id, participant.patient_id, None, DataStream.GPS, at, None)
        store.create(path, contents)
        of = {"participant_id": participant.id, "study_id": study.id, "size_bytes": len(contents)}
        db.session.add(Chunk(stream=SPECS[DataStream.GPS].number, time_bin=at, **of))
    db.session.commit()
