"""The page of a study's languages (CLAR-62)."""

import pytest
from flask import Flask

from core.database import db
from core.models import CustomField, FieldValue, Study, StudyLanguage
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Mood")


@pytest.fixture
def visitor(app: Flask, factory: Factory, study: Study) -> Visitor:
    return Visitor(app, factory.researcher("mlopez", study=study))


def test_languages_are_added_changed_and_removed(visitor: Visitor, study: Study):
    """CLAR-62: the first is the base language, whose texts stand where another has none."""
    page = f"/view_study/{study.id}/languages"
    assert "No language is set up" in visitor.get(page).text
    assert visitor.post(page, code="en", name="English", one_survey="Time for your diary.").location == page
    assert visitor.post(page, code="es", name="Español", title="Diario").location == page
    text = visitor.get(page).text
    assert "Base language" in text and 'placeholder="Time for your diary."' in text
    spanish = db.session.scalar(db.select(StudyLanguage.id).filter_by(code="es"))
    visitor.post(page, language=str(spanish), code="es", name="Español", one_survey="Es hora 📋")
    assert "Es hora 📋" in visitor.get(page).text
    assert visitor.post(f"{page}/remove", language=str(spanish)).location == page
    assert "Español was removed." in visitor.get(page).text


def test_what_is_refused_is_said_at_its_form_and_nothing_typed_is_lost(visitor: Visitor, study: Study):
    page = f"/view_study/{study.id}/languages"
    answer = visitor.post(page, code="german!", name="Deutsch", title="Tagebuch")
    assert answer.status_code == 422 and "a code such as es" in answer.text and 'value="Tagebuch"' in answer.text


def test_the_field_is_chosen_and_values_that_are_no_language_are_shown(
    visitor: Visitor, factory: Factory, study: Study
):
    page = f"/view_study/{study.id}/languages"
    field = CustomField(study_id=study.id, name="Mother tongue")
    db.session.add(field)
    db.session.flush()
    db.session.add(FieldValue(participant_id=factory.participant(study).id, field_id=field.id, value="Klingon"))
    db.session.commit()
    visitor.post(page, code="en", name="English")
    assert visitor.post(f"{page}/field", field=str(field.id)).location == page
    assert "“Klingon” (1 participant)" in visitor.get(page).text
    for wrong in ("0", "x1", "9" * 30):
        assert visitor.post(f"{page}/field", field=wrong).status_code == 422


def test_a_language_of_another_study_is_not_there(visitor: Visitor, factory: Factory, study: Study):
    other = StudyLanguage(study_id=factory.study("Other").id, code="en", name="English", is_base=True)
    db.session.add(other)
    db.session.commit()
    page = f"/view_study/{study.id}/languages"
    assert visitor.post(page, language=str(other.id), code="de", name="Deutsch").status_code == 404
    assert visitor.post(f"{page}/remove", language=str(other.id)).status_code == 404
