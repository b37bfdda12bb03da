"""The demo's study, made by the functions that the portal uses."""

import json

from flask import Flask

from core.database import db
from core.models import ScheduledEvent, Survey, SurveyVersion
from ops import demo
from webapp.stores import settings


def test_surveys_of_the_demo_have_versions_schedules_and_events(app: Flask):
    """SURVEY-2, SURVEY-3, NOTIF-3."""
    made = demo.make_study(settings())
    assert len(made["participants"]) == demo.PARTICIPANTS
    surveys = db.session.scalars(db.select(Survey).order_by(Survey.id)).all()
    assert [survey.name for survey in surveys] == ["Evening check", "Voice diary"]
    for survey in surveys:
        query = db.select(SurveyVersion).filter_by(survey_id=survey.id).order_by(SurveyVersion.started_at.desc())
        newest = db.session.scalars(query).first()
        assert newest is not None
        assert json.loads(newest.content) == json.loads(survey.content) != []
        assert newest.settings == survey.settings
    with_events = db.session.scalar(db.select(db.func.count(ScheduledEvent.participant_id.distinct())))
    assert with_events == demo.PARTICIPANTS
