"""The moments at which a study's schedules ask, as few rows as possible: for everybody, for groups, for each person.

Most schedules ask everybody at the same moments, or everybody whose intervention has the same date. Where a schedule is
of an arm, or holds from or until a day, participants of the same standing are one group. Random times differ for each
participant.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import InterventionDate, Schedule, Study
from core.surveys.asking import Standing, is_asked, is_for_some, standings_of
from core.surveys.random_times import DayOfPrompts
from core.surveys.schedules import (
    Random,
    Relative,
    ScheduleKind,
    is_created,
    local_date,
    moments_of,
    wanted_days,
)
from core.surveys.timing_rows import fixed_timing_of, timing_of

EVERYBODY = 0


@dataclass
class Moments:
    """Times of scheduled events. Each row begins with schedule, survey, moment, and whether a missing event is created.

    `on_dates` rows end with group; `by_date` ones with group, intervention and its date; `drawn` ones, whose moments
    are seconds since 1970, with the participant. Group 0 is everybody; `members` are participant and group of others.
    """

    on_dates: list[tuple[int, int, datetime, bool, int]] = field(default_factory=list)
    by_date: list[tuple[int, int, datetime, bool, int, int, date]] = field(default_factory=list)
    drawn: list[tuple[int, int, int, bool, int]] = field(default_factory=list)
    members: list[tuple[int, int]] = field(default_factory=list)


def moments_for(
    session: Session,
    study: Study,
    schedules: Sequence[Schedule],
    now: datetime,
    participant_ids: Collection[int] | None,
) -> Moments:
    """The moments of all events that should exist of these schedules; at most four queries (NOTIF-5, NOTIF-6)."""
    interventions = {s.intervention_id for s in schedules if s.intervention_id is not None}
    dates = _dates_in_use(session, interventions, participant_ids)
    moments = Moments()
    random = [schedule for schedule in schedules if schedule.kind == ScheduleKind.RANDOM]
    some = [schedule for schedule in schedules if schedule not in random and is_for_some(schedule)]
    for schedule in schedules:
        if schedule not in random and schedule not in some:
            _add(moments, schedule, study, now, dates, EVERYBODY, None)
    if random or some:
        standings = standings_of(session, study, participant_ids, [*random, *some])
        for group, (standing, members) in enumerate(_grouped(standings), EVERYBODY + 1):
            if some:
                moments.members += [(number, group) for number in members]
            for schedule in some:
                _add(moments, schedule, study, now, dates, group, standing)
            for schedule in random:
                _draw(moments, schedule, study, now, standing, members)
    return moments


def _grouped(standings: dict[int, Standing]) -> Iterable[tuple[Standing, list[int]]]:
    groups: dict[Standing, list[int]] = {}
    for number, standing in standings.items():
        groups.setdefault(standing, []).append(number)
    return groups.items()


def _add(
    moments: Moments,
    schedule: Schedule,
    study: Study,
    now: datetime,
    dates: dict[int, list[date]],
    group: int,
    standing: Standing | None,
) -> None:
    """Adds the moments of a schedule with one time of the day; with a standing only those of days that it is asked."""
    timing, today = fixed_timing_of(schedule), local_date(now, study.zone)
    of_participants: Sequence[date | None] = [None]
    if isinstance(timing, Relative):
        of_participants = dates.get(int(timing.intervention), [])
    for on in of_participants:
        for day, at in moments_of(timing, wanted_days(timing, today, on), study.zone):
            if standing and not is_asked(schedule, day, standing):
                continue
            row = (schedule.id, schedule.survey_id, at, is_created(timing, at, now), group)
            if on is None or schedule.intervention_id is None:
                moments.on_dates.append(row)
            else:
                moments.by_date.append((*row, schedule.intervention_id, on))


def _draw(
    moments: Moments, schedule: Schedule, study: Study, now: datetime, standing: Standing, members: Sequence[int]
) -> None:
    """Adds the random moments of the participants of one standing; those to come count on the participant's clock."""
    timing, second = timing_of(schedule), now.timestamp()
    assert isinstance(timing, Random) and schedule.seed is not None
    seed, schedule_id, survey_id = schedule.seed, schedule.id, schedule.survey_id
    for day in wanted_days(timing, local_date(now, study.zone)):
        if is_asked(schedule, day, standing):
            prompts = DayOfPrompts(timing, day, standing.zone, study.zone)
            moments.drawn += [
                (schedule_id, survey_id, drawn.scheduled, drawn.counts > second, number)
                for number in members
                for drawn in prompts.drawn(seed, number)
            ]


def random_moments(
    schedule: Schedule, timing: Random, participant_id: int, day: date, zone: ZoneInfo, study_zone: ZoneInfo
) -> list[datetime]:
    """The scheduled times (UTC) of a random schedule on that day, in the study's zone as of all events (NOTIF-21)."""
    assert schedule.seed is not None
    drawn = DayOfPrompts(timing, day, zone, study_zone).drawn(schedule.seed, participant_id)
    return [datetime.fromtimestamp(each.scheduled, UTC) for each in drawn]


def _dates_in_use(
    session: Session, intervention_ids: Collection[int], participant_ids: Collection[int] | None
) -> dict[int, list[date]]:
    """The different dates that participants, or these, have; by intervention."""
    dates: dict[int, list[date]] = {}
    if intervention_ids:
        query = sa.select(InterventionDate.intervention_id, InterventionDate.happens_on).distinct()
        query = query.where(InterventionDate.intervention_id.in_(intervention_ids))
        if participant_ids is not None:
            query = query.where(InterventionDate.participant_id.in_(participant_ids))
        for intervention_id, on in session.execute(query):
            dates.setdefault(intervention_id, []).append(on)
    return dates
