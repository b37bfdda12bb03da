"""Bytes of data by participant, day and stream (PROC-40)."""

from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.streams import DataStream

# In the order of exports.
BYTES_OF = {
    stream: f"{stream.value}_bytes"
    for stream in (
        DataStream.ACCELEROMETER,
        DataStream.AMBIENT_AUDIO,
        DataStream.APP_LOG,
        DataStream.BLUETOOTH,
        DataStream.CALLS,
        DataStream.DEVICEMOTION,
        DataStream.GPS,
        DataStream.GYRO,
        DataStream.IDENTIFIERS,
        DataStream.IOS_LOG,
        DataStream.MAGNETOMETER,
        DataStream.POWER_STATE,
        DataStream.PROXIMITY,
        DataStream.REACHABILITY,
        DataStream.SURVEY_ANSWERS,
        DataStream.SURVEY_TIMINGS,
        DataStream.TEXTS,
        DataStream.AUDIO_RECORDINGS,
        DataStream.WIFI,
    )
}


class DailyStatistics(Model):
    """One row per participant and day of the study's zone on which anything was recorded.

    A column per stream, `<stream>_bytes`: the size of its chunks and files of that day, null where there are none.
    """

    __tablename__ = "daily_statistics"

    participant_id: Mapped[int] = mapped_column(sa.ForeignKey("participants.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="RESTRICT"))

    for _name in BYTES_OF.values():
        locals()[_name] = sa.Column(_name, sa.BigInteger, nullable=True)
    del _name

    __table_args__ = (sa.Index(None, "study_id", "day"),)
