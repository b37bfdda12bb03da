"""A survey with two weeks of answers, uploaded as phones do and processed by the real code."""

import json
from datetime import timedelta

from core.audit import SERVER
from core.database import db
from core.models import Participant, Study, Survey, SurveyType
from core.streams import Platform
from core.surveys.expiry import set_expiry
from core.surveys.saving import SurveyChanges, add_survey
from tests.support.answering import CONTENT, MOOD, asks, file_of, process, submits
from tests.support.this_hour import this_hour

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def survey_with_answers(study: Study, people: list[Participant], days: int = 14) -> Survey:
    """A survey that was asked each day. Mood and energy rise; some days are missed, some answered late or twice, one
    file cannot be read.
    """
    now = this_hour()
    changes = SurveyChanges(name="Evening check", content=json.dumps(CONTENT))
    session = db.session()
    survey = add_survey(session, study, SurveyType.TRACKING, changes, now - (days + 9) * DAY, actor=SERVER)
    set_expiry(session, survey, 12 * 60)
    session.commit()
    for place, person in enumerate(people):
        asks(person, survey, *(now - n * DAY for n in range(days, 0, -1)), now - HOUR)
        for n in range(days, 0, -1):
            if (n + place) % 5 == 0:
                continue
            at = now - n * DAY + (23 * HOUR if n % 7 == 3 else timedelta(minutes=7 + 11 * place + n))
            submits(person, survey, at, file_of(_answers(n + place, days), Platform(person.os_type or "IOS")))
    submits(people[0], survey, now - DAY + 5 * HOUR, file_of(_answers(3, days), Platform.IOS))
    submits(people[0], survey, now - 2 * HOUR, b"question id,no such header\nxx")
    process()
    return survey


def _answers(n: int, days: int) -> dict[str, object]:
    options = len(MOOD["answers"])  # type: ignore[arg-type]
    mood = min(options - 1, (days - n % days) * options // days)
    typed = {"hours": str(5 + n % 4), "rest": f"day {n}: a private word"}
    return {"mood": mood, "why": (0, 1) if n % 2 else (0,), "energy": (7 * n) % 11} | (typed if n % 3 else {})
