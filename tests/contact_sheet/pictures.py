"""Takes the pictures: a study with believable data, each page of the permission matrix that is reached by GET."""

import json
import os
import random
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from flask import Flask

from core.access import Role
from core.accounts.acting import invite
from core.answers.scores import save_score
from core.answers.scoring import compute_open_runs
from core.audit import SERVER, actor_of
from core.config import load_settings
from core.database import db
from core.models import (
    Chunk,
    CustomField,
    OutgoingMessage,
    Participant,
    ParticipantEvent,
    ProblemUpload,
    Researcher,
    Study,
    StudyLanguage,
    Submission,
    Survey,
    SurveyTranslation,
    SurveyType,
    SystemEvent,
    Trouble,
    UploadRecord,
)
from core.models.participant import participant_with_study
from core.operations.telling import tell_of_trouble
from core.participants.batches import ask_for_batch
from core.participants.departures import end_participation
from core.participants.editing import edit_many
from core.participants.notes import add_note
from core.participants.pausing import pause_participant
from core.processing.daily_quantities import recompute_days
from core.streams import SPECS, DataStream, Platform
from core.studies.languages import save_language, set_language_field
from core.surveys.rules.translating import coverage
from core.surveys.saving import SurveyChanges, add_survey, save_survey
from core.surveys.schedules import ScheduleKind, Weekly
from core.surveys.translations import newest_content, save_translation
from tests.browser.navigator import Portal
from tests.contact_sheet.told import alerts_of, exports_of, forest_tasks, notifications_of, webhooks_with_log
from tests.support.answered import survey_with_answers
from tests.support.factories import Factory
from tests.support.measured import measured_days
from tests.support.paths import VECTORS
from tests.support.tracked import tracked_day
from tests.webapp.test_permissions import OWN, PORTAL

FOLDER = Path(os.environ.get("PICTURES", "var/pictures"))
WORD = os.environ.get("PAGES", "")
WIDTHS = (375, 1280)
SCHEMES = ("light", "dark")
# Pages that the matrix asks for something that does not exist, with what the pictures show of them.
OF_SURVEY = "/view_study/{study}/survey/{answered}/answers"
ONES = {
    "surveys.translation": "/edit_survey/{study}/{survey}/translations/{language}",
    "answers.submission": f"{OF_SURVEY}/submissions/{{submission}}",
    "answers.score": f"{OF_SURVEY}/scores/{{score}}",
    "forest.detail": "/studies/{study}/forest/tasks/{task}/about",
    "webhooks.log": "/view_study/{study}/webhooks/{webhook}",
    "webhooks.form": "/view_study/{study}/webhooks/{webhook}/change",
    "alerts.alert": "/view_study/{study}/alerts/{alert}",
    "alerts.rule": "/view_study/{study}/alerts/rules/{rule}",
    "alerts.new_rule": "/view_study/{study}/alerts/rules/new?survey={answered}&question=mood",
    "measures.track": "/view_study/{study}/participant/{tracked}/measures/mobility/track?day={day}",
    "surveys.keep_form": "/edit_survey/{study}/{answered}/keep",
    "participants.why_not_sent": f"{OWN}/notification_history/why?survey={{survey}}&at={{at}}",
}
SHOWN = {
    name: ONES.get(name, page.path.replace("/survey/{survey}/", "/survey/{answered}/"))
    for name, page in PORTAL.items()
    if page.method == "GET" and (page.passed == 200 or name in ONES)
}
# Pages that need no sign-in, and other choices of a page.
SHOWN |= {
    "measures.compared": f"{OWN}/measures?with={{other}}&measure=jasmine_distance_traveled&measure=oak_steps",
    "quantities.hours": "/dashboard/{study}/patient/{participant}?unit=hours",
    "forest.coming": "/studies/{study}/forest/nightly?coming=1",
    "api_description.page": "/data-api",
}
NOW = datetime.now(UTC)
pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def study(app: Flask, factory: Factory) -> Study:
    """Forty participants in all states, with fields, dates, chunks, problems and notes."""
    study = factory.study("Mood and movement after discharge")
    admin = factory.researcher("mlopez", is_site_admin=True)
    factory.researcher("rkim", study=study, role=Role.STUDY_ADMIN)
    site, arm = (CustomField(study_id=study.id, name=name) for name in ("Site", "Arm"))
    db.session.add_all([site, arm])
    start = factory.intervention(study, "Discharge")
    chance = random.Random(1)
    people = [_person(factory, study, number, chance) for number in range(40)]
    db.session.flush()
    edits = {
        person.id: {
            f"field:{site.id}": chance.choice(("Boston", "Paris", "Lagos")),
            f"field:{arm.id}": chance.choice(("App", "App + calls", "Usual care")),
            f"intervention:{start.id}": date.today() - timedelta(days=chance.randrange(60)),
        }
        for person in people
    }
    edit_many(db.session(), study, edits, "Site, arm and discharge imported", NOW, actor=actor_of(admin))
    pause_participant(db.session(), people[3], NOW + timedelta(days=4), NOW, actor=actor_of(admin))
    end_participation(db.session(), people[4], NOW.astimezone(study.zone).date(), None, NOW, actor=actor_of(admin))
    add_note(db.session(), people[0], "Called on Monday: the phone was in repair for two days.", actor=actor_of(admin))
    _data_of(people[0], chance)
    study.has_forest = True
    for number, person in enumerate(people[:9]):
        measured_days(person, days=50 + number, shift=chance.uniform(0, 9))
    tracked_day(factory, people[10], date(2026, 3, 4), hours=(0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 12))
    for person in people[1:9]:
        _days_of(person, chance)
    ask_for_batch(db.session(), study, 120, "second wave", actor=SERVER)
    db.session.commit()
    return study


def _survey_with_versions(study: Study) -> Survey:
    """The survey of the golden settings file that has most questions, once changed since, with schedules."""
    file = json.loads((VECTORS / "surveys" / "export_current.json").read_text())
    content = max((survey["content"] for survey in file["surveys"]), key=len)
    weekly = {ScheduleKind.WEEKLY: [Weekly(day, time(20)) for day in (1, 3, 5)]}
    session, changes = db.session(), SurveyChanges(name="Evening check", content=content[:-1], timings=weekly)
    survey = add_survey(session, study, SurveyType.TRACKING, changes, NOW - timedelta(days=9), actor=SERVER)
    later = SurveyChanges(content=content, settings={"always_available": True})
    save_survey(session, survey, later, NOW - timedelta(days=2), actor=SERVER)
    session.commit()
    return survey


def _translation(study: Study, survey: Survey) -> StudyLanguage:
    """Three languages; the survey is half translated into one of them, and a question was edited since."""
    session = db.session()
    field = session.scalars(db.select(CustomField).filter_by(study_id=study.id, name="Site")).one()
    set_language_field(session, study, field, actor=SERVER)
    save_language(session, study, "en", "English", {"one_survey": "Time for your evening check."}, actor=SERVER)
    spanish = save_language(session, study, "es", "Español", {"one_survey": "Es hora de su diario."}, actor=SERVER)
    save_language(session, study, "ar", "العربية", {}, actor=SERVER)
    places = coverage(newest_content(session, survey), {}).places
    typed = {place.field: f"«{place.base}»" for place in places[: len(places) // 2]}
    saved = save_translation(session, survey, spanish, "Por la noche", typed, 0, NOW, actor=SERVER)
    row = session.get_one(SurveyTranslation, (survey.id, spanish.id))
    first = saved.coverage.places[0]
    texts = dict(row.texts[first.question_id])
    texts["An earlier text"] = texts.pop(first.base)
    row.texts = row.texts | {first.question_id: texts}
    session.commit()
    return spanish


def _answers(study: Study) -> dict[str, int]:
    """A survey with two weeks of answers and two scores; a submission and a score of it."""
    session = db.session()
    query = db.select(Participant).where(Participant.os_type.is_not(None), Participant.retired_at.is_(None))
    people = session.scalars(query.order_by(Participant.id).limit(14)).all()
    survey = survey_with_answers(
        study, [one for each in people if (one := participant_with_study(session, each.patient_id))]
    )
    for name, variable, combination in (("Mood and energy", "mood_energy", "sum"), ("Mean energy", "energy", "mean")):
        items = [{"question_id": "mood", "is_reversed": True}, {"question_id": "energy"}]
        definition = {"combination": combination, "items": items, "least_answered": 1}
        score = save_score(session, survey, None, name=name, variable=variable, definition=definition, actor=SERVER)
    session.commit()
    compute_open_runs(session)
    query = db.select(Submission).where(Submission.survey_id == survey.id, Submission.answered > 3)
    one = session.scalars(query.order_by(Submission.id).limit(1)).one()
    return {"answered": survey.id, "submission": one.id, "score": score.id}


def _alerts() -> None:
    """A trouble that is over and one that lasts, and what was sent of them."""
    session, settings = db.session(), load_settings(sysadmin_emails="operators@example.org")
    refused = "fcm refuses this server's credentials since 2026-03-01 08:00 UTC."
    over = SystemEvent(kind=Trouble.CREDENTIALS_REFUSED.value, subject="fcm", text=refused, began_at=NOW)
    lasting = SystemEvent(kind=Trouble.SENDER_SILENT.value, text="No push notification was sent.", began_at=NOW)
    session.add_all([over, lasting])
    session.flush()
    for trouble in (over, lasting):
        tell_of_trouble(session, settings, trouble, NOW)
    over.ended_at = NOW
    tell_of_trouble(session, settings, over, NOW)
    rows = session.scalars(db.select(OutgoingMessage).order_by(OutgoingMessage.id)).all()
    rows[0].delivered_at, rows[0].next_try_at, rows[0].tries = NOW, None, 1
    rows[1].given_up_at, rows[1].next_try_at, rows[1].tries = NOW, None, 9
    rows[1].problem = "The mail server refuses the recipient (550)."
    session.commit()


def _person(factory: Factory, study: Study, number: int, chance: random.Random) -> Participant:
    platform = None if number % 9 == 5 else chance.choice(list(Platform))
    person = factory.participant(study, platform=platform, is_test=number == 39)
    person.created_at = NOW - timedelta(days=80, hours=number)
    person.retired_at = NOW - timedelta(days=2) if number % 13 == 7 else None
    person.external_id = f"P-{number:04}" if number % 3 == 0 else None
    if platform:
        activity = person.activity
        activity.first_registered_at = activity.last_registered_at = NOW - timedelta(days=60 - number)
        silence = timedelta(days=4) if number % 8 == 1 else timedelta(minutes=chance.randrange(90))
        activity.last_upload_at = activity.last_heartbeat_at = NOW - silence
        activity.last_os_version = "15" if platform is Platform.ANDROID else "18.5"
        activity.last_version_name = "3.7.1" if platform is Platform.ANDROID else "2024.28"
    return person


def _data_of(person: Participant, chance: random.Random) -> None:
    """Four weeks of hourly chunks, uploads, a problem, and what the phone did."""
    hour = NOW.replace(minute=0, second=0, microsecond=0)
    for back in range(24 * 28):
        for spec in list(SPECS.values())[:6]:
            if spec.is_chunked and not spec.has_survey and chance.random() < 0.7:
                at = hour - timedelta(hours=back)
                size = chance.randrange(1_000, 60_000)
                db.session.add(
                    Chunk(
                        participant_id=person.id,
                        study_id=person.study_id,
                        stream=spec.number,
                        time_bin=at,
                        size_bytes=size,
                        updated_at=at,
                    )
                )
    for number in range(12):
        at = NOW - timedelta(minutes=20 * number)
        path = f"x/{person.patient_id}/gps/{number}.csv"
        row = {"path": path, "participant_id": person.id, "stream": 1, "size_bytes": 9_000, "received_at": at}
        db.session.add(UploadRecord(**row, processed_at=at))
    db.session.flush()
    recompute_days(db.session(), person)
    problem = {"received_name": f"{person.patient_id}_gps_1.csv", "object_path": "x", "size_bytes": 812}
    db.session.add(ProblemUpload(participant_id=person.id, reason="the key line is not base64", **problem))
    detail = {"os_type": "ANDROID", "brand": "a brand", "model": "a model", "os_version": "15"}
    db.session.add(ParticipantEvent(participant_id=person.id, at=NOW, kind="registered", detail=detail))


def _days_of(person: Participant, chance: random.Random) -> None:
    """Two weeks of an hour of data here and there, counted as processing counts."""
    midnight = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    for back in range(14):
        for stream in (DataStream.ACCELEROMETER, DataStream.GPS, DataStream.WIFI):
            for hour in range(0 if chance.random() < 0.15 else chance.randrange(4, 24)):
                at, size = midnight - timedelta(days=back + 1) + timedelta(hours=hour), chance.randrange(1_000, 60_000)
                number = SPECS[stream].number
                of = {"participant_id": person.id, "study_id": person.study_id, "updated_at": at}
                db.session.add(Chunk(stream=number, time_bin=at, size_bytes=size, **of))
    db.session.flush()
    recompute_days(db.session(), person)


def colleague_and_link() -> dict[str, str]:
    """Somebody who was invited, with the link."""
    study = db.session.scalars(db.select(Study)).one()
    me = db.session.scalars(db.select(Researcher).filter_by(username="mlopez")).one()
    for name, role, days in (("a.osei", Role.STUDY_RESEARCHER, None), ("j.weber", Role.STUDY_ANALYST, 30)):
        ends_on = date.today() + timedelta(days=days) if days else None
        invited, token = invite(db.session(), me, name, NOW, study=study, role=role, ends_on=ends_on)
    db.session.commit()
    return {"colleague": str(invited.id), "token": token}


def test_pictures(portal: Portal, study: Study) -> None:
    """One picture for each page, width and scheme; nothing scrolls sideways, and the console says nothing."""
    first = db.session.scalars(db.select(Participant).filter_by(study_id=study.id).order_by(Participant.id)).first()
    batch = db.session.scalar(db.text("SELECT min(id) FROM participant_batches"))
    assert first is not None
    query = db.select(Participant.patient_id).order_by(Participant.id).offset(2).limit(9)
    others = db.session.scalars(query).all()
    people = colleague_and_link() | {"other": others[0], "tracked": others[-1], "day": "2026-03-04"}
    portal.signs_in("mlopez")
    portal.sees_heading(study.name)
    survey = _survey_with_versions(study)
    survey_number, language_number = survey.id, _translation(study, survey).id
    answered = _answers(study)
    _alerts()
    survey_of_answers = db.session.get_one(Survey, answered["answered"])
    told = alerts_of(study, survey_of_answers, NOW) | {"at": quote((NOW - timedelta(hours=26)).isoformat())}
    told |= webhooks_with_log(study, survey_of_answers, NOW)
    told |= forest_tasks(study, NOW)
    exports_of(study, NOW)
    notifications_of(study, db.session.get_one(Survey, survey_number), NOW)
    db.session.rollback()
    taken: list[str] = []
    for name, template in SHOWN.items():
        if name == "access.sign_in" or WORD not in name:
            continue
        path = template.format(
            study=study.id,
            participant=first.patient_id,
            batch=batch,
            survey=survey_number,
            language=language_number,
            **answered,
            **told,
            **people,
        )
        if path.endswith((".csv", "_csv", ".ics", "/file", "tasks/download")) or name in (
            "studies.export_file",
            "account.left",
        ):  # downloads, and JSON
            continue
        for width in WIDTHS:
            for scheme in SCHEMES:
                portal.page.set_viewport_size({"width": width, "height": 800})
                portal.page.emulate_media(color_scheme=scheme)
                portal.opens(path)
                portal.page.wait_for_load_state("load")
                file = f"{name}-{width}-{scheme}.png"
                portal.page.screenshot(path=FOLDER / file, full_page=True)
                portal.has_no_sideways_scroll()
                taken.append(file)
    figures = "".join(f'<figure><img src="{file}" alt=""><figcaption>{file}</figcaption></figure>' for file in taken)
    style = "body{columns:4 20rem;font:12px sans-serif}figure{break-inside:avoid;margin:0 0 1rem}img{width:100%}"
    FOLDER.joinpath("sheet.html").write_text(f"<!doctype html><style>{style}</style>{figures}")
