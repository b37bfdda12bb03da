"""Whether a schedule asks a participant on a day: by its arm, and by the days on which it holds (CLAR-52, CLAR-53).

One function decides, `is_asked`: for the events that should exist, for the weekly timings that phones get, and so for
what is sent, which is the events. Changes of arms take effect from the participant's next local day.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.bulk import is_one_of
from core.models import FieldValue, FieldValueChange, Participant, Schedule, Study
from core.surveys.schedules import local_date
from core.zones import known_zones

FieldHistory = tuple[str | None, tuple[tuple[date, str | None], ...]]
"""The value of a field now, and its changes, oldest first: the local day of each, and the value before it."""


@dataclass(frozen=True)
class Standing:
    """What decides which schedules ask a participant: the zone of the phone, and the values of fields of arms."""

    zone: ZoneInfo
    fields: tuple[tuple[int, FieldHistory], ...] = ()

    def value_on(self, field_id: int, day: date) -> str | None:
        """The value that counts on a local day: that of the beginning of the day."""
        now, changes = dict(self.fields).get(field_id, (None, ()))
        return next((before for changed_on, before in changes if changed_on >= day), now)


def is_asked(schedule: Schedule, day: date, standing: Standing) -> bool:
    """Whether the schedule asks a participant of that standing on that day of the calendar."""
    if schedule.begins_after and day <= local_date(schedule.begins_after, standing.zone):
        return False
    if schedule.ends_after and day > local_date(schedule.ends_after, standing.zone):
        return False
    return schedule.arm_field_id is None or standing.value_on(schedule.arm_field_id, day) == schedule.arm_value


def is_for_some(schedule: Schedule) -> bool:
    """Whether `is_asked` may differ between participants or days."""
    return not (schedule.arm_field_id is None and schedule.begins_after is None and schedule.ends_after is None)


def standings_of(
    session: Session, study: Study, participant_ids: Collection[int] | None, schedules: Sequence[Schedule]
) -> dict[int, Standing]:
    """The standing of these participants of the study, or of all, towards the schedules; at most three queries.

    Those who are retired or purged have none.
    """
    query = sa.select(Participant.id, Participant.timezone_name).where(
        Participant.study_id == study.id,
        Participant.retired_at.is_(None),
        Participant.purge_asked_at.is_(None),
        Participant.purged_at.is_(None),
    )
    if participant_ids is not None:
        query = query.where(is_one_of(Participant.id, participant_ids))
    zones = {number: zone_of(name, study) for number, name in session.execute(query)}
    fields = sorted({schedule.arm_field_id for schedule in schedules if schedule.arm_field_id is not None})
    if not fields:
        return {number: Standing(zone) for number, zone in zones.items()}
    histories = _histories(session, zones, fields)
    return {number: Standing(zone, tuple(sorted(histories.get(number, {}).items()))) for number, zone in zones.items()}


def _histories(
    session: Session, zones: Mapping[int, ZoneInfo], fields: Sequence[int]
) -> dict[int, dict[int, FieldHistory]]:
    """By participant and field; changes are those of all time, which are few."""
    found: dict[int, dict[int, FieldHistory]] = {}
    values = sa.select(FieldValue.participant_id, FieldValue.field_id, FieldValue.value)
    values = values.where(FieldValue.field_id.in_(fields), is_one_of(FieldValue.participant_id, zones))
    for number, field_id, value in session.execute(values):
        found.setdefault(number, {})[field_id] = (value, ())
    changed = sa.select(FieldValueChange).where(
        FieldValueChange.field_id.in_(fields), is_one_of(FieldValueChange.participant_id, zones)
    )
    for change in session.scalars(changed.order_by(FieldValueChange.changed_at, FieldValueChange.id)):
        of = found.setdefault(change.participant_id, {})
        now, changes = of.get(change.field_id, (None, ()))
        on = local_date(change.changed_at, zones[change.participant_id])
        of[change.field_id] = (now, (*changes, (on, change.value_before)))
    return found


def zone_of(timezone_name: str | None, study: Study) -> ZoneInfo:
    """The participant's zone; the study's while it is unknown (NOTIF-21)."""
    return ZoneInfo(timezone_name) if timezone_name in known_zones() else study.zone
