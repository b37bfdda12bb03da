"""Sending by hand: once for each form, and always in the history (NOTIF-70)."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from flask_migrate import downgrade, upgrade
from sqlalchemy.orm import Session

from core.audit import COMMAND_LINE
from core.database import db
from core.models import Participant, PushMessageEvent, Study, Survey
from core.notifications.by_hand import AlreadySent, send_survey_now, send_text
from core.notifications.delivering import opener, utc_now
from core.notifications.ledger import NO_ANSWER
from tests.support.fakes.google import UNREGISTERED, Answer, fcm_error
from tests.support.pushing import Pushing, attempts


def by_hand(pushing: Pushing, someone: Participant, survey: Survey, **more: Any) -> str | None:
    opened = opener(pushing.google.url)
    clock = lambda: pushing.now  # noqa: E731
    return send_survey_now(db.session(), db.engine, opened, someone, survey, clock, actor=COMMAND_LINE, **more)


def test_a_form_that_is_sent_in_twice_sends_once(pushing: Pushing):
    """NOTIF-70: a survey, and a text; also where both presses come at the same time."""
    someone, survey, key = pushing.phone(), pushing.asked(), uuid4()
    assert by_hand(pushing, someone, survey, form_key=key) is None
    with pytest.raises(AlreadySent):
        by_hand(pushing, someone, survey, form_key=key)
    assert by_hand(pushing, someone, survey, form_key=uuid4()) is None
    assert (len(pushing.google.messages), len(attempts())) == (2, 2)

    everybody = [someone.id]
    db.session.commit()

    def send(key: UUID) -> str:
        with Session(engine) as session:
            study = session.get_one(Study, study_id)
            people = list(session.scalars(sa.select(Participant).where(Participant.id.in_(everybody))))
            try:
                done = send_text(
                    session, engine, opener(url), study, people, "Thank you", utc_now, actor=COMMAND_LINE, form_key=key
                )
            except AlreadySent:
                return "again"
            return str(done.accepted)

    engine, url, study_id = db.engine, pushing.google.url, pushing.study.id
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(send, [uuid4()] * 4))
    assert sorted(results) == ["1", "again", "again", "again"]
    assert len(pushing.google.messages) == 3


def test_a_process_that_dies_after_a_survey_by_hand_leaves_it_in_the_history(
    pushing: Pushing, monkeypatch: pytest.MonkeyPatch
):
    """NOTIF-70, NOTIF-45: with who sent it; it is not sent again."""
    someone, survey = pushing.phone(), pushing.asked()
    with monkeypatch.context() as dying:
        dying.setattr("core.notifications.delivering.settle", lambda *_: None)
        by_hand(pushing, someone, survey)
    assert attempts() == []
    assert pushing.later(minutes=3).messages == 0
    (attempt,) = attempts()
    assert (attempt.kind, attempt.status, attempt.researcher_name) == ("manual", NO_ANSWER, COMMAND_LINE.name)
    assert len(pushing.google.messages) == 1
    pushing.later(minutes=3)
    assert len(attempts()) == 1


@pytest.mark.parametrize(
    ("answer_given", "status"),
    [
        (UNREGISTERED, "The push service did not take it (unregistered)."),
        (fcm_error(400, "INVALID_ARGUMENT", "Bad", "INVALID_ARGUMENT"), "INVALID_ARGUMENT: Bad"),
        (fcm_error(429, "RESOURCE_EXHAUSTED", "Many", "QUOTA_EXCEEDED"), "The push service did not take it (quota)."),
    ],
)
def test_a_survey_by_hand_has_one_row_of_history_whatever_came_of_it(
    pushing: Pushing, answer_given: Answer, status: str
):
    """NOTIF-70."""
    someone, survey = pushing.phone(), pushing.asked()
    pushing.google.answers = [answer_given]
    assert by_hand(pushing, someone, survey) is not None
    assert [(row.status, row.researcher_name) for row in attempts()] == [(status, COMMAND_LINE.name)]
    assert attempts()[0].scheduled_at == pushing.now


def test_the_migration_keeps_messages_that_were_sent_by_hand(pushing: Pushing):
    """OPS-43."""
    someone, survey = pushing.phone(), pushing.asked()
    by_hand(pushing, someone, survey, form_key=uuid4())
    db.session.remove()
    downgrade(revision="0026")
    upgrade()
    assert db.session.scalars(sa.select(PushMessageEvent.researcher_name)).all() == [None]
    assert [row.researcher_name for row in attempts()] == [COMMAND_LINE.name]
