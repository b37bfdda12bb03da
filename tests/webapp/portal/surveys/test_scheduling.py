"""The form of a survey's schedules, and the calendar (SURVEY-30 to SURVEY-32, CLAR-52, CLAR-53)."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar
from werkzeug.datastructures import MultiDict

from core.access import Role
from core.database import db
from core.models import CustomField, Departure, Participant, Pause, Schedule, ScheduledEvent, Study, Survey
from core.surveys.expiry import own_expiry
from core.surveys.schedules import Absolute, Arm, Planned, Random, Relative, ScheduleKind, Weekly
from core.surveys.scheduling import planned_schedules
from core.surveys.timing_lists import problem_of
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor
from tests.support.sites import NORTH, SECRET, TwoSites
from webapp.portal.surveys import schedule_form
from webapp.portal.surveys.schedule_form import Row, RowsRefused, planned_of_rows, rows_of, typed_rows

WINDOW = {"kind": "random", "days": "1"}

times = st.times(min_value=time(), max_value=time(23, 59)).map(lambda at: at.replace(second=0, microsecond=0))
arms = st.none() | st.builds(
    Arm, st.integers(1, 99), st.text("abc: é", min_size=1, max_size=8).map(str.strip).filter(bool)
)
randoms = st.builds(
    Random,
    st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
    times,
    times,
    st.integers(1, 5),
    st.integers(1, 90),
).filter(lambda timing: not problem_of(timing))
timings = (
    st.builds(Weekly, st.integers(0, 6), times)
    | st.builds(Absolute, st.dates(date(1900, 1, 1), date(2999, 12, 31)), times)
    | st.builds(Relative, st.integers(1, 99), st.integers(-400, 400), times)
    | randoms
)


def as_form(rows: list[Row]) -> MultiDict[str, str]:
    """The fields that a browser sends for these rows."""
    form: MultiDict[str, str] = MultiDict()
    for place, row in enumerate(rows):
        form.add("row", str(place))
        for name in ("kind", "at", "until", "on", "intervention", "offset", "direction", "prompts", "distance", "arm"):
            form.add(f"{name}-{place}", str(getattr(row, name)))
        for day in row.days:
            form.add(f"days-{place}", str(day))
    return form


@given(st.lists(st.builds(Planned, timings, arms), max_size=12, unique=True))
def test_the_form_means_the_schedules_that_it_was_made_from(planned: list[Planned]):
    """SURVEY-31: opening and saving unchanged changes nothing."""
    rows = rows_of(planned)
    assert set(planned_of_rows(typed_rows(as_form(rows)))) == set(planned)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"kind": "weekly", "at": "09:00"}, ""),
        ({"kind": "weekly", "at": "9", "days": "1"}, "Give a time of the day"),
        ({"kind": "absolute", "on": "2030-02-30", "at": "09:00"}, "Give a date."),
        ({"kind": "absolute", "on": "9999-01-01", "at": "09:00"}, "The year is far away."),
        ({"kind": "relative", "offset": "1", "at": "09:00"}, "Choose an intervention."),
        ({"kind": "relative", "offset": "-1", "intervention": "1", "at": "09:00"}, "Give a whole number of days"),
        (
            {"kind": "random", "days": "1", "at": "09:00", "until": "10:00", "prompts": "9", "distance": "30"},
            "9 prompts",
        ),
        ({"kind": "random", "days": "1", "at": "22:00", "until": "06:00", "prompts": "1", "distance": "1"}, "midnight"),
        ({"kind": "weekly", "at": "09:00", "days": "1", "arm": "x"}, "Choose for whom."),
        ({"kind": "weekly", "at": "09:00", "days": "1", "arm": "9" * 5000 + ":x"}, "Choose for whom."),
        ({"kind": "relative", "offset": "1", "at": "09:00", "intervention": "9" * 5000}, "Choose an intervention."),
        ({"kind": "weekly", "at": "09:00+02:00", "days": "1"}, "without a time zone"),
        ({**WINDOW, "at": "09:00+02:00", "until": "10:00", "prompts": "1", "distance": "1"}, "without a time zone"),
        ({"kind": "weekly", "at": "09:00", "days": "12"}, "Tick at least one day."),
        ({"kind": "weekly", "at": "09:00", "days": ""}, "Tick at least one day."),
    ],
)
def test_what_cannot_be_is_said_at_its_row(fields: dict[str, str], problem: str):
    """SURVEY-30, CLAR-52."""
    form = MultiDict({"row": "0", **{f"{name}-0": value for name, value in fields.items()}})
    rows = typed_rows(form)
    with pytest.raises(RowsRefused) as refused:
        planned_of_rows(rows)
    assert problem in refused.value.rows[0].problem if problem else refused.value.rows[0].problem


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Mood")


@pytest.fixture
def visitor(app: Flask, factory: Factory, study: Study) -> Visitor:
    return Visitor(app, factory.researcher("mlopez", study=study))


@pytest.fixture
def survey(factory: Factory, study: Study) -> Survey:
    return factory.survey(study, name="Evening")


pytestmark = pytest.mark.usefixtures("quick_passwords")


def path(survey: Survey) -> str:
    return f"/edit_survey/{survey.study_id}/{survey.id}/schedule"


def weekly(**more: Any) -> dict[str, Any]:
    return {"row": "0", "kind-0": "weekly", "at-0": "20:00", "days-0": ["1", "3"], **more}


def test_schedules_are_previewed_and_then_saved(visitor: Visitor, survey: Survey, factory: Factory, study: Study):
    """SURVEY-30, NOTIF-7: the preview changes nothing; saving makes the events that it told of."""
    factory.participant(study)
    shown = visitor.post(path(survey), **weekly(show="show"))
    assert "<strong>" in shown.text and "appear" in shown.text and "for 1 participant" in shown.text
    assert db.session.scalar(db.select(db.func.count(Schedule.id))) == 0
    saved = visitor.post(path(survey), **weekly(save="save", expiry="own", expiry_count="90", expiry_unit="minutes"))
    assert saved.status_code == 302
    assert set(planned_schedules(db.session(), survey)) == {Planned(Weekly(1, time(20))), Planned(Weekly(3, time(20)))}
    assert own_expiry(db.session(), survey) == 90
    assert db.session.scalar(db.select(db.func.count(ScheduledEvent.id))) in (2, 3, 4)
    before = db.session.scalars(db.select(ScheduledEvent.id)).all()
    assert visitor.post(path(survey), **weekly(save="save")).status_code == 302
    assert db.session.scalars(db.select(ScheduledEvent.id)).all() == before
    assert own_expiry(db.session(), survey) is None


def test_rows_are_added_and_removed_without_saving(visitor: Visitor, survey: Survey):
    """SURVEY-32: also without JavaScript."""
    page = visitor.post(path(survey), **weekly(add="random")).text
    assert 'name="kind-1" value="random"' in page and 'value="20:00"' in page
    page = visitor.post(path(survey), **weekly(remove="0")).text
    assert 'value="20:00"' not in page
    assert planned_schedules(db.session(), survey) == []


def test_the_row_that_is_named_is_removed_in_whatever_order_the_page_has_them(visitor: Visitor, survey: Survey):
    """SURVEY-30: an added row stands with those of its kind, before rows of other kinds that were there already."""
    date_row = {"kind-1": "absolute", "on-1": "2030-01-31", "at-1": "09:00"}
    added = {"kind-2": "weekly", "at-2": "07:15", "days-2": "0"}
    form = weekly(row=["0", "2", "1"], remove="2", **date_row, **added)
    page = visitor.post(path(survey), **form).text
    assert 'value="2030-01-31"' in page and 'value="20:00"' in page and 'value="07:15"' not in page


def test_no_row_is_dropped_without_a_word(visitor: Visitor, survey: Survey, monkeypatch: pytest.MonkeyPatch):
    """SURVEY-30: a form of many rows is saved whole, or refused."""
    first = date(2030, 1, 1)
    rows = [Row(ScheduleKind.ABSOLUTE, on=str(first + timedelta(days=n)), at="09:00") for n in range(600)]
    form = as_form(rows).to_dict(flat=False)
    assert visitor.post(path(survey), save="save", **form).status_code == 302  # type: ignore[arg-type]
    assert len(planned_schedules(db.session(), survey)) == 600
    monkeypatch.setattr(schedule_form, "MOST_ROWS", 599)
    refused = visitor.post(path(survey), save="save", **form)  # type: ignore[arg-type]
    assert refused.status_code == 422 and "up to 599 rows" in refused.text
    assert len(planned_schedules(db.session(), survey)) == 600


def test_enter_shows_what_changes_and_removes_nothing(visitor: Visitor, survey: Survey):
    """SURVEY-32: browsers press the first button of a form."""
    visitor.post(path(survey), **weekly(save="save"))
    form = visitor.get(path(survey)).text.partition('id="schedule"')[2]
    first = form.partition("<button")[2].partition(">")[0]
    assert 'name="show"' in first


def test_a_wrong_row_keeps_what_was_typed_and_saves_nothing(visitor: Visitor, survey: Survey):
    """SURVEY-30."""
    answer = visitor.post(path(survey), **(weekly(save="save") | {"at-0": "25:99"}))
    assert answer.status_code == 422 and "Give a time of the day" in answer.text and 'value="25:99"' in answer.text
    answer = visitor.post(path(survey), **weekly(save="save", expiry="own", expiry_count="soon"))
    assert answer.status_code == 422 and "Give a whole number" in answer.text
    assert planned_schedules(db.session(), survey) == []


def test_an_intervention_of_another_study_is_refused(visitor: Visitor, survey: Survey, factory: Factory):
    """SURVEY-30, NOTIF-1."""
    foreign = factory.intervention(factory.study("Other"), "Visit")
    fields = {"row": "0", "kind-0": "relative", "offset-0": "1", "at-0": "09:00", "intervention-0": str(foreign.id)}
    answer = visitor.post(path(survey), **fields, save="save")
    assert answer.status_code == 422 and "has no intervention" in answer.text


def test_the_calendar_shows_a_participants_surveys_in_the_chosen_zone(
    visitor: Visitor, survey: Survey, factory: Factory, study: Study
):
    """NOTIF-21, SURVEY-32: the same wall-clock time everywhere; a participant of another study is not there."""
    participant = factory.participant(study)
    factory.schedule(survey, Weekly(2, time(9)))
    page = visitor.get(f"/view_study/{study.id}/surveys/calendar?participant={participant.patient_id}&zone=Asia/Tokyo")
    assert "in Tokyo" in page.text and "<b>09:00</b> Evening" in page.text
    other = factory.participant(factory.study("Other"))
    page = visitor.get(f"/view_study/{study.id}/surveys/calendar?participant={other.patient_id}")
    assert "There is no participant" in page.text
    file = visitor.get(f"/view_study/{study.id}/surveys/calendar.ics?participant={other.patient_id}")
    assert file.status_code == 404


def test_the_calendar_file_holds_the_coming_four_weeks(visitor: Visitor, survey: Survey, factory: Factory):
    """RFC 5545."""
    factory.schedule(survey, Weekly(2, time(9)))
    answer = visitor.get(f"/view_study/{survey.study_id}/surveys/calendar.ics")
    events = list(Calendar.from_ical(answer.data).walk("VEVENT"))
    assert answer.content_type.startswith("text/calendar") and len(events) in (4, 5)
    assert {str(event["SUMMARY"]) for event in events} == {"Evening"}
    now = datetime.now(UTC)
    assert all(now < event["DTSTART"].dt < now + timedelta(days=29) for event in events)


def test_what_piles_up_is_pointed_out(visitor: Visitor, survey: Survey, factory: Factory, study: Study):
    """SURVEY-32: two surveys in one minute, more than 40 in a week."""
    other = factory.survey(study, name="Morning")
    for at in range(8):
        for day in range(7):
            factory.schedule(survey, Weekly(day, time(9 + at)))
    factory.schedule(other, Weekly(2, time(9)))
    page = visitor.get(f"/view_study/{study.id}/surveys/calendar").text
    assert "Evening and Morning are asked within a minute of each other" in page
    assert "surveys in the week of" in page


def test_the_study_says_how_long_surveys_can_be_answered(visitor: Visitor, survey: Survey, study: Study):
    """CLAR-51."""
    address = f"/view_study/{study.id}/surveys/time_to_answer"
    refused = visitor.post(address, expiry_count="0", expiry_unit="hours")
    assert refused.status_code == 422 and "can be answered for" in refused.text
    assert visitor.post(address, expiry_count="36", expiry_unit="hours").status_code == 302
    db.session.refresh(study)
    assert study.survey_expiry_minutes == 36 * 60
    assert 'value="36"' in visitor.get(f"/view_study/{study.id}/surveys").text


def test_a_field_whose_arms_schedules_name_is_deleted_with_them_only(
    visitor: Visitor, survey: Survey, factory: Factory, study: Study
):
    """CLAR-53, PORTAL-172."""
    field = CustomField(study_id=study.id, name="Arm")
    db.session.add(field)
    db.session.commit()
    fields = {"row": "0", "kind-0": "weekly", "at-0": "20:00", "days-0": ["1"], "arm-0": f"{field.id}:calls"}
    assert visitor.post(path(survey), **fields, save="save").status_code == 302
    assert planned_schedules(db.session(), survey) == [Planned(Weekly(1, time(20)), Arm(field.id, "calls"))]
    assert "Arm: calls" in visitor.get(path(survey)).text
    address = f"/delete_field/{study.id}"
    refused = visitor.post(address, field=str(field.id), typed_name="Arm")
    assert refused.status_code == 422 and "is used by schedules of Evening" in refused.text
    deleted = visitor.post(address, field=str(field.id), typed_name="Arm", with_schedules="true")
    assert deleted.status_code == 302
    assert planned_schedules(db.session(), survey) == []


def test_people_limited_to_a_site_see_times_and_events_of_their_participants_alone(app: Flask, factory: Factory):
    """PERM-95: what saving changes, the arms and their counts, the calendar and its file; saving reaches everybody."""
    world = TwoSites(factory)
    world.fill_the_others()
    for absence in (Pause, Departure):
        db.session.execute(db.delete(absence))
    survey = factory.survey(world.study, name="Evening")
    person = world.limited(Role.STUDY_RESEARCHER, NORTH, may_change_study=True)
    visitor = Visitor(app, person)
    other = db.session.scalars(
        db.select(Participant.patient_id).where(
            Participant.study_id == world.study.id, Participant.patient_id.like("zs%")
        )
    ).first()
    assert other
    for answer in (
        visitor.get(path(survey)),
        visitor.post(path(survey), **weekly(show="show")),
        visitor.get(f"{path(survey)}?zone=UTC"),
        visitor.get(f"/view_study/{world.study.id}/surveys/calendar"),
        visitor.get(f"/view_study/{world.study.id}/surveys/calendar.ics"),
    ):
        assert answer.status_code == 200 and not SECRET.search(answer.text)
    assert "for 3 participants" in visitor.post(path(survey), **weekly(show="show")).text
    for unseen in (other, "zz999999"):
        file = visitor.get(f"/view_study/{world.study.id}/surveys/calendar.ics?participant={unseen}")
        page = visitor.get(f"/view_study/{world.study.id}/surveys/calendar?participant={unseen}")
        assert file.status_code == 404 and f"There is no participant {unseen} here." in page.text
    assert visitor.post(path(survey), **weekly(save="save")).status_code == 302
    assert db.session.scalar(db.select(db.func.count(ScheduledEvent.participant_id.distinct()))) > 3
