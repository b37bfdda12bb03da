"""The survey that a page of answers is about; answers of deleted surveys stay, and so do these pages."""

from flask import abort, g

from core.database import db
from core.models import Survey, SurveyType
from core.surveys.listing import survey_of_study

OF = "/view_study/<number:study_number>/survey/<number:survey_number>/answers"


def the_survey(number: int) -> Survey:
    """The survey of the study in the path, also a deleted one. Aborts with 404 if it is elsewhere."""
    session, study = db.session(), g.study
    survey = survey_of_study(session, study.id, number) or survey_of_study(session, study.id, number, deleted=True)
    if survey is None or survey.survey_type not in set(SurveyType):
        abort(404, "There is no such survey in the study.")
    return survey
