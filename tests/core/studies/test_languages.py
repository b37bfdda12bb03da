"""Languages of a study, and what pushes say in them (CLAR-62)."""

import pytest
from sqlalchemy.orm import Session

from core.audit import SERVER
from core.database import db
from core.models import CustomField, FieldValue, Participant, Study, StudyLanguage
from core.notifications.messages import BUILT_IN
from core.notifications.wording import wording_of
from core.studies.languages import (
    LanguageRefused,
    codes_of_participants,
    languages_of,
    remove_language,
    save_language,
    set_language_field,
    spread_of_languages,
)
from tests.support.factories import Factory
from tests.support.this_hour import this_hour


@pytest.fixture
def study(factory: Factory) -> Study:
    study = factory.study()
    field = CustomField(study_id=study.id, name="Language")
    db.session.add(field)
    db.session.flush()
    set_language_field(db.session(), study, field, actor=SERVER)
    return study


def language(study: Study, code: str, name: str, **texts: str) -> StudyLanguage:
    return save_language(db.session(), study, code, name, texts, actor=SERVER)


def speaks(factory: Factory, study: Study, value: str | None) -> Participant:
    someone = factory.participant(study)
    if value is not None:
        row = FieldValue(participant_id=someone.id, field_id=study.language_field_id, value=value)
        db.session.add(row)
    db.session.flush()
    return someone


def said(session: Session, someone: Participant) -> tuple[str, str, str]:
    words = wording_of(session, [someone.id]).get(someone.id, BUILT_IN)
    return words.title, words.of_surveys(1), words.of_surveys(2)


def test_each_participant_reads_the_own_language_and_never_a_blank(factory: Factory, study: Study):
    """CLAR-62: by code or name, ignoring case; a missing text is the base language's, then the built-in one."""
    language(study, "en", "English", one_survey="Time for your diary.")
    language(study, "es", "Español", one_survey="Es hora de su diario.", title="Diario")
    language(study, "ar", "العربية", several_surveys="لديك استبيانات 📋")
    session = db.session()
    built_in = BUILT_IN.several_surveys
    base = ("Beiwe", "Time for your diary.", built_in)
    assert said(session, speaks(factory, study, "ES")) == ("Diario", "Es hora de su diario.", built_in)
    assert said(session, speaks(factory, study, " español ")) == ("Diario", "Es hora de su diario.", built_in)
    assert said(session, speaks(factory, study, "ar")) == ("Beiwe", "Time for your diary.", "لديك استبيانات 📋")
    for other in (None, "", "Klingon", "en"):
        assert said(session, speaks(factory, study, other)) == base


def test_a_study_without_languages_says_the_built_in_texts(factory: Factory):
    assert said(db.session(), factory.participant(factory.study())) == (
        "Beiwe",
        *(BUILT_IN.of_surveys(n) for n in (1, 2)),
    )


def test_participants_are_counted_by_language_and_unknown_values_are_shown(factory: Factory, study: Study):
    language(study, "en", "English")
    language(study, "pt-br", "Português")
    for value in ("PT-BR", "português", "en", None, "Klingon", "Klingon"):
        speaks(factory, study, value)
    spread = spread_of_languages(db.session(), study)
    assert (spread.by_code, spread.unknown) == ({"pt-BR": 2, "en": 4}, {"Klingon": 2})


@pytest.mark.parametrize(
    ("code", "name", "texts", "field"),
    [
        ("", "Deutsch", {}, "code"),
        ("german!", "Deutsch", {}, "code"),
        ("de", "", {}, "name"),
        ("de", "a\x00b", {}, "name"),
        ("EN", "Deutsch", {}, "code"),
        ("de", "english", {}, "name"),
        ("de", "EN", {}, "name"),
        ("de", "Deutsch", {"title": "x" * 179}, "title"),
    ],
)
def test_what_cannot_be_a_language_is_refused_at_its_field(
    study: Study, code: str, name: str, texts: dict[str, str], field: str
):
    language(study, "en", "English")
    with pytest.raises(LanguageRefused) as refused:
        language(study, code, name, **texts)
    assert refused.value.field == field and len(languages_of(db.session(), study)) == 1


def test_the_base_language_goes_last(factory: Factory, study: Study):
    now = this_hour()
    base, other = language(study, "en", "English"), language(study, "de", "Deutsch")
    speaks(factory, study, "de")
    with pytest.raises(LanguageRefused):
        remove_language(db.session(), study, base, now, actor=SERVER)
    remove_language(db.session(), study, other, now, actor=SERVER)
    remove_language(db.session(), study, base, now, actor=SERVER)
    assert languages_of(db.session(), study) == []


def test_a_code_counts_before_the_name_of_another_language(factory: Factory, study: Study):
    language(study, "en", "English")
    language(study, "ga", "Irish")
    language(study, "gd", "Gaelic")
    someone = speaks(factory, study, "ga")
    assert codes_of_participants(db.session(), [someone.id]) == {someone.id: "ga"}


def test_a_field_of_another_study_is_refused(factory: Factory, study: Study):
    other = CustomField(study_id=factory.study("Other").id, name="Language")
    db.session.add(other)
    db.session.flush()
    with pytest.raises(LanguageRefused):
        set_language_field(db.session(), study, other, actor=SERVER)
