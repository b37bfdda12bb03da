"""Alerts in the portal: the way of one from the rule to the acknowledgement, and who sees what (CLAR-58, PERM-95)."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from core.access import Role
from core.answer_alerts.telling import tell_of_alerts
from core.audit import SERVER
from core.config import load_settings
from core.database import db
from core.models import AlertRule, AnswerAlert, OutgoingMessage, Participant, Researcher, Study, Survey
from core.streams import Platform
from core.surveys.saving import SurveyChanges, save_survey
from tests.support.answering import CONTENT, file_of, process, submits
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor
from tests.support.sites import TwoSites
from tests.support.this_hour import this_hour
from webapp.stores import settings

pytestmark = pytest.mark.usefixtures("quick_passwords")
BAD = {"mood": 0, "why": (1,), "energy": 2, "hours": "7", "rest": "a private word"}


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Mood")


@pytest.fixture
def visitor(app: Flask, factory: Factory, study: Study) -> Visitor:
    return Visitor(app, factory.researcher("nurse", study=study))


@pytest.fixture
def survey(factory: Factory, study: Study) -> Survey:
    return factory.survey(study, name="Evening", content=json.dumps(CONTENT))


def answer(person: Participant, survey: Survey, minutes: int = 0) -> None:
    submits(person, survey, this_hour() - timedelta(minutes=60 - minutes), file_of(BAD, Platform.IOS))
    process()


def make_rule(visitor: Visitor, survey: Survey, **fields: str) -> None:
    page = f"/view_study/{survey.study_id}/alerts/rules/new"
    nurse = re.search(r'name="recipients" value="(\d+)"', visitor.get(f"{page}?survey={survey.id}&question=mood").text)
    assert nurse
    form = {"survey": str(survey.id), "question": "mood", "options": "bad", "recipients": nurse[1]} | fields
    assert visitor.post(page, **form).status_code == 302
    # Made a moment before what the test uploads.
    db.session.execute(db.update(AlertRule).values(effective_from=this_hour() - timedelta(days=1)))
    db.session.commit()


def test_from_the_rule_to_the_acknowledgement(visitor: Visitor, factory: Factory, study: Study, survey: Survey):
    """CLAR-58: steps without JavaScript; a badge on every page; the answer, who saw it, and a note."""
    at = f"/view_study/{study.id}/alerts"
    assert "Nothing to look at" in visitor.get(at).text and "No rules yet" in visitor.get(f"{at}/rules").text
    assert "Evening" in visitor.get(f"{at}/rules/new").text
    assert "How was your mood" in visitor.get(f"{at}/rules/new?survey={survey.id}").text
    make_rule(visitor, survey)
    page = visitor.get(f"{at}/rules").text
    assert "“bad”" in page and "This is no emergency service" in page and "no mail server" in page
    person = factory.participant(study, platform=Platform.IOS)
    answer(person, survey)
    listed = visitor.get(at).text
    assert person.patient_id in listed and ">New<" in listed
    assert '1<span class="visually-hidden"> to be looked at' in visitor.get(f"/view_study/{study.id}").text
    number = db.session.scalar(db.select(AnswerAlert.id))
    visitor.post("/set_mail_address", mail_address="nurse@x.example")
    tell_of_alerts(db.session(), settings(), datetime.now(UTC))
    db.session.commit()
    one = visitor.get(f"{at}/{number}").text
    assert "Mail to nurse@x.example" in one and "Waits" in one
    assert "pain, bad" in one and "nurse" in one and "a private word" not in one
    refused = visitor.post(f"{at}/{number}/acknowledge", note=" ")
    assert refused.status_code == 422 and "Say what was done" in refused.text
    assert visitor.post(f"{at}/{number}/acknowledge", note="Called <b>her</b>.").location == f"{at}/{number}"
    assert "Called &lt;b&gt;her&lt;/b&gt;." in visitor.get(f"{at}/{number}").text
    visitor.post(f"{at}/{number}/acknowledge", note="Me too.")
    assert "Somebody else has acknowledged it before" in visitor.get(at).text
    assert "Nothing to look at" in visitor.get(at).text
    assert person.patient_id in visitor.get(f"{at}?state=acknowledged").text


def test_a_rule_is_changed_removed_and_marked_when_its_question_was_edited(
    visitor: Visitor, study: Study, survey: Survey
):
    make_rule(visitor, survey, webhook_address="http://127.0.0.1:9/hook")
    number = db.session.scalar(db.select(AlertRule.id))
    at = f"/view_study/{study.id}/alerts/rules"
    key = db.session.scalars(db.select(AlertRule)).one().webhook_key
    assert key and key in visitor.get(f"{at}/{number}").text
    edited = [CONTENT[0] | {"answers": [{"text": "awful"}, *CONTENT[0]["answers"]]}, *CONTENT[1:]]
    save_survey(db.session(), survey, SurveyChanges(content=edited), this_hour(), actor=SERVER)
    db.session.commit()
    assert "Edited since" in visitor.get(at).text
    assert "was edited since this rule was saved" in visitor.get(f"{at}/{number}").text
    nurse = str(db.session.scalar(db.text("SELECT researcher_id FROM alert_recipients")))
    assert visitor.post(f"{at}/{number}", options="awful", recipients=nurse).location == at
    assert "“awful”" in visitor.get(at).text and "Edited since" not in visitor.get(at).text
    assert visitor.post(f"{at}/{number}/remove").location == at
    assert "No rules yet" in visitor.get(at).text and visitor.get(f"{at}/{number}").status_code == 404


def test_what_is_refused_stands_at_its_field_with_what_was_typed(visitor: Visitor, study: Study, survey: Survey):
    page = f"/view_study/{study.id}/alerts/rules/new"
    form = {"survey": str(survey.id), "question": "energy", "comparison": "above", "value": "much", "recipients": "1"}
    answer = visitor.post(page, **form)
    assert answer.status_code == 422 and "Give a number." in answer.text and 'value="much"' in answer.text
    for wrong in ({"survey": "0"}, {"question": "rest"}, {"survey": "x"}):
        assert visitor.post(page, **(form | wrong)).status_code == 404


def test_people_limited_to_a_site_see_alerts_of_their_participants_only(app: Flask, factory: Factory):
    """PERM-95: lists, counts and single alerts."""
    sites = TwoSites(factory)
    sites.fill_the_others()
    survey = factory.survey(sites.study, name="Evening", content=json.dumps(CONTENT))
    make_rule(Visitor(app, sites.admin), survey)
    for minutes, person in enumerate((sites.north[0], sites.south[0])):
        answer(person, survey, minutes)
    numbers = dict(db.session.execute(db.select(AnswerAlert.participant_id, AnswerAlert.id)).tuples().all())
    limited = Visitor(app, sites.limited(Role.STUDY_RESEARCHER))
    at = f"/view_study/{sites.study.id}/alerts"
    page = limited.get(at).text
    assert sites.north[0].patient_id in page and sites.south[0].patient_id not in page and "Open (4)" in page
    assert limited.get(f"{at}/{numbers[sites.north[0].id]}").status_code == 200
    hidden = f"{at}/{numbers[sites.south[0].id]}"
    assert limited.get(hidden).status_code == 404
    assert limited.post(f"{hidden}/acknowledge", note="x").status_code == 404


def test_older_alerts_are_on_further_pages(
    visitor: Visitor, factory: Factory, study: Study, survey: Survey, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("core.answer_alerts.listing.PAGE", 2)
    make_rule(visitor, survey)
    person = factory.participant(study, platform=Platform.IOS)
    for minutes in range(3):
        answer(person, survey, minutes)
    at = f"/view_study/{study.id}/alerts"
    page = visitor.get(at).text
    older = re.search(r'href="([^"]*before=[^"]*)"', page)
    assert older and page.count(person.patient_id) == 2
    assert visitor.get(older[1].replace("&amp;", "&")).text.count(person.patient_id) == 1
    for wrong in ("x", "2026-01-01_1", f"{datetime.now().isoformat()}_x"):
        assert visitor.get(f"{at}?before={wrong}").status_code == 200


def test_a_mail_address_is_set_and_a_wrong_one_refused(visitor: Visitor):
    assert visitor.post("/set_mail_address", mail_address=" nurse@x.example ").status_code == 302
    assert 'value="nurse@x.example"' in visitor.get("/manage_credentials").text
    for wrong in ("nurse", "a b@x", "a@x,b@y", "x" * 250 + "@x.example"):
        answer = visitor.post("/set_mail_address", mail_address=wrong)
        assert answer.status_code == 422 and "name@example.org" in answer.text
    visitor.post("/set_mail_address", mail_address="")
    assert "No alert is mailed to you any more." in visitor.get("/manage_credentials").text


def test_the_page_of_an_alert_says_how_each_message_fares(
    visitor: Visitor, factory: Factory, study: Study, survey: Survey
):
    """CLAR-58: visible when delivery fails; also once a message was tried, delivered or given up."""
    make_rule(visitor, survey, webhook_address="https://hooks.x.example/a-secret")
    nurse = db.session.scalars(db.select(Researcher).where(Researcher.username == "nurse")).one()
    nurse.mail_address = "nurse@x.example"
    answer(factory.participant(study, platform=Platform.IOS), survey)
    tell_of_alerts(db.session(), load_settings(domain_name="beiwe.example"), datetime.now(UTC))
    db.session.commit()
    number = db.session.scalar(db.select(AnswerAlert.id))
    page = f"/view_study/{study.id}/alerts/{number}"
    now = datetime.now(UTC)
    states = {
        "Waits": {},
        "Tried 2 times": {"tries": 2, "problem": "The mail server refuses (451)."},
        "Delivered": {"delivered_at": now, "next_try_at": None, "problem": None},
        "Given up": {"delivered_at": None, "given_up_at": now, "next_try_at": None, "problem": "Not sent: no right."},
    }
    for words, values in states.items():
        if values:
            db.session.execute(db.update(OutgoingMessage).values(**values))
            db.session.commit()
        text = visitor.get(page).text
        assert text.count(words) == 2 and "nurse@x.example" in text and "hooks.x.example" in text, words
        assert "a-secret" not in text and str(values.get("problem") or "") in text
