"""Events are kept in step with schedules, dates, participants and the state of the study."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from core.audit import SERVER
from core.database import db, open_session
from core.models import (
    AttemptKind,
    EventState,
    Intervention,
    InterventionDate,
    NotificationAttempt,
    Participant,
    ParticipantActivity,
    Schedule,
    ScheduledEvent,
    Study,
    Survey,
    SurveyVersion,
)
from core.participants.changing import retire_participant
from core.studies.changing import hide_study, reopen_study, set_end_date, set_timezone, stop_study, unhide_study
from core.surveys.events import Rebuilt, rebuild_events
from core.surveys.schedules import Absolute, Relative, ScheduleKind, Weekly
from core.surveys.timing_lists import read_timings
from core.surveys.timing_rows import row_of
from tests.support.factories import Factory
from tests.support.paths import VECTORS

NOW = datetime(2024, 6, 5, 12, tzinfo=UTC)  # a Wednesday
ABSOLUTE = Absolute(date(2024, 6, 1), time(9))
ABSOLUTE_AT = datetime(2024, 6, 1, 13, tzinfo=UTC)


def rebuild(study: Study, now: datetime = NOW, **scope: Any) -> Rebuilt:
    rebuilt = rebuild_events(db.session(), study, now, **scope)
    db.session.commit()
    return rebuilt


def events(participant: Participant | None = None) -> list[ScheduledEvent]:
    query = db.select(ScheduledEvent).order_by(ScheduledEvent.scheduled_at, ScheduledEvent.id)
    if participant:
        query = query.where(ScheduledEvent.participant_id == participant.id)
    return list(db.session.scalars(query.execution_options(populate_existing=True)))


def attempt(participant: Participant, survey: Survey, at: datetime, status: str) -> None:
    version = db.session.scalar(db.select(SurveyVersion.id).where(SurveyVersion.survey_id == survey.id))
    db.session.add(
        NotificationAttempt(
            survey_version_id=version,
            participant_id=participant.id,
            kind=AttemptKind.ABSOLUTE,
            scheduled_at=at,
            status=status,
        )
    )
    db.session.commit()


def by_hand(participant: Participant, survey: Survey) -> None:
    db.session.add(
        ScheduledEvent(
            survey_id=survey.id, participant_id=participant.id, scheduled_at=NOW, state=EventState.DONE, uuid=None
        )
    )
    db.session.commit()


def test_every_participant_has_the_wanted_events(app: Flask, factory: Factory):
    """NOTIF-3, NOTIF-5, NOTIF-6: not the retired or purged; weekly ones only when later than now."""
    study = factory.study()
    here = [factory.participant(study), factory.participant(study, platform=None)]
    for gone in ("retired_at", "purge_asked_at", "purged_at"):
        factory.participant(study, **{gone: NOW})
    survey, intervention = factory.survey(study), factory.intervention(study)
    factory.schedule(survey, Weekly(3, time(8)))  # at 12:00 UTC, which is not later than now
    factory.schedule(survey, ABSOLUTE)
    factory.schedule(survey, Relative(intervention.id, -2, time(9)))
    factory.intervention_date(here[0], intervention, date(2024, 6, 20))
    assert rebuild(study) == Rebuilt(removed=0, created=5)
    assert {e.participant_id for e in events()} == {p.id for p in here}
    weekly_at = datetime(2024, 6, 12, 12, tzinfo=UTC)
    assert [e.scheduled_at for e in events(here[1])] == [ABSOLUTE_AT, weekly_at]
    relative_at = datetime(2024, 6, 18, 13, tzinfo=UTC)
    assert [e.scheduled_at for e in events(here[0])] == [ABSOLUTE_AT, weekly_at, relative_at]
    assert len({e.uuid for e in events()}) == 5
    assert {e.uuid.version for e in events()} == {4}
    assert {(e.state, e.is_never_resent) for e in events()} == {("pending", False)}
    assert rebuild(study) == Rebuilt(0, 0)


def test_events_of_the_week_before_stay_and_older_ones_go(app: Flask, factory: Factory):
    """NOTIF-5: the week after next appears when the week turns."""
    participant = factory.participant()
    factory.schedule(factory.survey(participant.study), Weekly(0, time(9)))
    sunday = datetime(2024, 6, 9, 4, tzinfo=UTC)  # midnight in New York
    rebuild(participant.study, sunday - timedelta(seconds=1))
    first = events()
    assert [e.scheduled_at.day for e in first] == [9]
    rebuild(participant.study, sunday)
    assert [e.scheduled_at.day for e in events()] == [9, 16]
    assert events()[0].uuid == first[0].uuid
    rebuild(participant.study, sunday + timedelta(days=14))
    assert [e.scheduled_at.day for e in events()] == [16, 23, 30]


def test_a_date_that_moves_takes_its_event_along(app: Flask, factory: Factory):
    """NOTIF-7, NOTIF-8: the event is new, and other participants' are untouched."""
    study = factory.study()
    moved, other = factory.participant(study), factory.participant(study)
    survey, intervention = factory.survey(study), factory.intervention(study)
    factory.schedule(survey, Relative(intervention.id, 0, time(9)))
    for participant in (moved, other):
        factory.intervention_date(participant, intervention, date(2024, 6, 1))
    rebuild(study)
    before, others = events(moved), events(other)
    factory.intervention_date(moved, intervention, date(2024, 7, 1))
    assert rebuild(study, participant_ids=[moved.id]) == Rebuilt(1, 1)
    assert [e.scheduled_at.month for e in events(moved)] == [7]
    assert events(moved)[0].uuid != before[0].uuid
    assert events(other) == others


@pytest.mark.parametrize(("status", "state"), [("success", "done"), ("device has no registered token", "pending")])
def test_what_was_sent_with_success_is_never_sent_again(app: Flask, factory: Factory, status: str, state: str):
    """NOTIF-7: by survey, participant and time; a failed attempt is none."""
    study = factory.study()
    participant, other = factory.participant(study), factory.participant(study)
    survey = factory.survey(study)
    attempt(participant, survey, ABSOLUTE_AT, status)
    attempt(other, factory.survey(study), ABSOLUTE_AT, "success")
    factory.schedule(survey, ABSOLUTE)
    rebuild(study)
    assert [e.state for e in events(participant)] == [state]
    assert [e.state for e in events(other)] == ["pending"]


def test_what_was_sent_far_ahead_of_the_studys_clock_is_known_too(app: Flask, factory: Factory):
    """NOTIF-7, NOTIF-21: a phone in Kiritimati is 25 hours before a study under Pago Pago's clock."""
    study = factory.study(timezone_name="Pacific/Pago_Pago")
    participant = factory.participant(study, timezone_name="Pacific/Kiritimati")
    survey = factory.survey(study)
    factory.schedule(survey, Absolute(date(2024, 6, 6), time(1, 59)))
    rebuild(study)
    at = events()[0].scheduled_at
    assert at - NOW == timedelta(hours=24, minutes=59)
    attempt(participant, survey, at, "success")
    db.session.execute(sa.delete(ScheduledEvent))
    rebuild(study)
    assert events()[0].state == "done"


STOPS: dict[str, tuple[Any, Any]] = {
    "stop": (partial(stop_study, actor=SERVER), partial(reopen_study, actor=SERVER)),
    "hide": (partial(hide_study, actor=SERVER), partial(unhide_study, actor=SERVER)),
    "end": (
        lambda *on: set_end_date(on[0], on[1], date(2024, 6, 4), on[2], actor=SERVER),
        lambda *on: set_end_date(*on[:2], None, on[2], actor=SERVER),
    ),
}


@pytest.mark.parametrize("how", STOPS)
def test_a_stopped_study_has_no_events_and_a_reopened_one_has_them_again(app: Flask, factory: Factory, how: str):
    """NOTIF-7: in the transaction of the change itself, events by hand too."""
    participant = factory.participant()
    study = participant.study
    survey = factory.survey(study)
    factory.schedule(survey, ABSOLUTE)
    rebuild(study)
    by_hand(participant, survey)
    stop, reopen = STOPS[how]
    assert not stop(db.session(), study, NOW)
    assert events() == []
    db.session.rollback()
    assert len(events()) == 2
    stop(db.session(), study, NOW)
    db.session.commit()
    reopen(db.session(), study, NOW)
    assert [e.scheduled_at for e in events()] == [ABSOLUTE_AT]


def test_the_last_day_of_a_study_counts_to_its_last_second(app: Flask, factory: Factory):
    """NOTIF-7, PORTAL-91: in the study's zone."""
    participant = factory.participant()
    factory.schedule(factory.survey(participant.study), ABSOLUTE)
    rebuild(participant.study)
    set_end_date(
        db.session(), participant.study, date(2024, 6, 4), datetime(2024, 6, 5, 3, 59, 59, tzinfo=UTC), actor=SERVER
    )
    assert len(events()) == 1
    assert rebuild(participant.study) == Rebuilt(1, 0)  # as each hour


@pytest.mark.parametrize("change", [{"deleted_at": NOW}, {"survey_type": "image_survey"}])
def test_surveys_that_no_phone_gets_have_no_events(app: Flask, factory: Factory, change: dict[str, Any]):
    """NOTIF-7; those of other surveys stay, also by hand."""
    participant = factory.participant()
    study = participant.study
    gone, stays = factory.survey(study), factory.survey(study)
    for survey in (gone, stays):
        factory.schedule(survey, ABSOLUTE)
        by_hand(participant, survey)
    rebuild(study)
    for column, value in change.items():
        setattr(gone, column, value)
    assert rebuild(study) == Rebuilt(2, 0)
    assert {e.survey_id for e in events()} == {stays.id}
    assert len(events()) == 2


def test_a_participant_who_retires_loses_the_scheduled_events(app: Flask, factory: Factory):
    """NOTIF-3."""
    participant = factory.participant()
    factory.schedule(factory.survey(participant.study), ABSOLUTE)
    rebuild(participant.study)
    rebuild(participant.study)
    assert len(events()) == 1
    assert retire_participant(db.session(), participant, NOW, actor=SERVER)
    assert events() == []
    assert not retire_participant(db.session(), participant, NOW, actor=SERVER)


def test_a_rebuild_keeps_to_its_scope(app: Flask, factory: Factory):
    """NOTIF-7: other studies, participants and surveys are left alone."""
    study, foreign = factory.study(), factory.participant()
    one, two = factory.participant(study), factory.participant(study)
    surveys = [factory.survey(study), factory.survey(study), factory.survey(foreign.study)]
    schedules = [factory.schedule(survey, ABSOLUTE) for survey in surveys]
    assert rebuild(study, participant_ids=[one.id], survey_id=surveys[0].id) == Rebuilt(0, 1)
    assert rebuild(study, survey_id=surveys[0].id) == Rebuilt(0, 1)
    assert rebuild(study, participant_ids=[foreign.id]) == Rebuilt(0, 0)
    assert rebuild(study, participant_ids=[]) == Rebuilt(0, 0)
    assert rebuild(study, participant_ids=[two.id]) == Rebuilt(0, 1)
    db.session.execute(sa.update(Schedule).values(time_of_day=time(10)))
    assert rebuild(study, participant_ids=[one.id], survey_id=surveys[0].id) == Rebuilt(1, 1)
    assert rebuild(foreign.study) == Rebuilt(0, 1)
    assert [e.scheduled_at.hour for e in events(one)] == [14]
    assert {e.schedule_id for e in events(two)} == {schedules[0].id, schedules[1].id}


def test_two_schedules_at_one_minute_are_two_events_and_a_zone_that_changes_moves_them(app: Flask, factory: Factory):
    """NOTIF-4, NOTIF-7."""
    participant = factory.participant()
    study = participant.study
    survey, intervention = factory.survey(study), factory.intervention(study)
    factory.schedule(survey, ABSOLUTE)
    factory.schedule(survey, Relative(intervention.id, 0, time(9)))
    factory.intervention_date(participant, intervention, ABSOLUTE.day)
    rebuild(study)
    assert [e.scheduled_at for e in events()] == [ABSOLUTE_AT] * 2
    assert len({e.uuid for e in events()}) == 2
    set_timezone(db.session(), study, "Asia/Tokyo", NOW, actor=SERVER)
    assert len(events()) == 2
    assert {e.scheduled_at for e in events()} == {datetime(2024, 6, 1, 0, tzinfo=UTC)}


def test_rebuilds_at_the_same_time_make_each_event_once(app: Flask, factory: Factory):
    """NOTIF-7."""
    study = factory.study()
    participants = [factory.participant(study) for _ in range(3)]
    survey = factory.survey(study)
    for weekday in range(7):
        factory.schedule(survey, Weekly(weekday, time(9)))
    study_id, ids = study.id, [p.id for p in participants]
    db.session.remove()

    def run(n: int) -> None:
        with open_session() as session:
            scope = {"participant_ids": [ids[n % 3]]} if n % 2 else {}
            rebuild_events(session, session.get_one(Study, study_id), NOW, **scope)
            session.commit()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(run, range(12)))
    assert len(events()) == 3 * 11  # what is left of this week and the whole of the next


def test_the_number_of_statements_does_not_grow_with_the_number_of_participants(app: Flask, factory: Factory):
    """NOTIF-7: a study of 2,000 participants is compared and filled in bulk."""
    study = factory.study()
    rows = [
        {"patient_id": f"q{n:07}".replace("0", "z"), "study_id": study.id, "password_hash": "x"} for n in range(2000)
    ]
    ids = db.session.scalars(sa.insert(Participant).returning(Participant.id), rows).all()
    db.session.execute(sa.insert(ParticipantActivity), [{"participant_id": i} for i in ids])
    survey = factory.survey(study)
    for weekday in range(7):
        factory.schedule(survey, Weekly(weekday, time(9)))
    statements: list[str] = []

    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    sa.event.listen(db.engine, "before_cursor_execute", note)
    assert rebuild(study) == Rebuilt(0, 22_000)
    assert rebuild(study) == Rebuilt(0, 0)
    sa.event.remove(db.engine, "before_cursor_execute", note)
    assert len(statements) <= 2 * 7  # what has counted by now is recorded first (NOTIF-24)


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("SELECT * FROM scheduled_events WHERE state = 'pending' AND scheduled_at <= now()", "pending"),
        (
            "SELECT * FROM scheduled_events WHERE participant_id = 1 AND schedule_id = 1",
            "participant_id_schedule_id",
        ),
        (
            "SELECT * FROM notification_attempts WHERE participant_id = 1 AND attempted_at <= now()"
            " AND uuid IS NOT NULL AND NOT is_confirmed AND status = 'success'",
            "unconfirmed|ix_notification_attempts_resends",  # either holds these rows alone; the table is empty
        ),
        (
            "SELECT * FROM notification_attempts WHERE participant_id = 1 ORDER BY attempted_at DESC LIMIT 25",
            "history",
        ),
    ],
)
def test_hot_queries_have_their_index(app: Flask, query: str, index: str):
    """MODEL-102."""
    table = query.split(" FROM ")[1].split()[0]
    for way in ("seqscan", "bitmapscan"):  # tables are empty here
        db.session.execute(sa.text(f"SET LOCAL enable_{way} = off"))
    plan = "\n".join(db.session.scalars(sa.text(f"EXPLAIN {query}")))
    assert any(name in plan for name in f"ix_{table}_{index}".split("|"))
    assert "Sort" not in plan


def test_events_go_with_their_schedule_and_stay_unique(app: Flask, factory: Factory):
    """MODEL-101."""
    participant = factory.participant()
    schedule = factory.schedule(factory.survey(participant.study), ABSOLUTE)
    rebuild(participant.study)
    (event,) = events()
    again = {"survey_id": event.survey_id, "participant_id": event.participant_id, "schedule_id": event.schedule_id}
    with pytest.raises(sa.exc.IntegrityError):
        db.session.execute(sa.insert(ScheduledEvent).values(**again, scheduled_at=event.scheduled_at))
    db.session.rollback()
    db.session.execute(sa.delete(Schedule).where(Schedule.id == schedule.id))
    assert events() == []
    assert db.session.scalars(db.select(Intervention)).all() == []


CASES = json.loads((VECTORS / "schedules" / "schedules.json").read_text())["cases"]


def test_every_vector_holds_in_the_database_too(app: Flask, factory: Factory):
    """NOTIF-4, NOTIF-5, NOTIF-6: the schedules of a case as rows give the events that it lists."""
    participant = factory.participant()
    study = participant.study
    survey = factory.survey(study)
    db.session.commit()
    session, seen = db.session(), 0
    for case in CASES:
        if case["kind"] == "due":
            continue
        study.timezone_name = case["study_zone"]
        named: dict[str, int] = {}
        for name, on in (case.get("intervention_dates") or {}).items():
            made = Intervention(study_id=study.id, name=name)
            session.add(made)
            session.flush()
            named[name] = made.id
            if on:
                day = date.fromisoformat(on)
                session.add(InterventionDate(participant_id=participant.id, intervention_id=made.id, happens_on=day))
        for timing in read_timings(ScheduleKind(case["kind"]), case["timings"]):
            if isinstance(timing, Relative):
                timing = replace(timing, intervention=named[str(timing.intervention)])
            session.add(Schedule(**row_of(survey.id, timing)))
        rebuild_events(session, study, datetime.fromisoformat(case["now"]).replace(tzinfo=UTC))
        moments = session.scalars(sa.select(ScheduledEvent.scheduled_at).distinct()).all()
        assert sorted(f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in moments) == case["created_if_none"], case["id"]
        seen += 1
        session.rollback()
    assert seen > 50
