"""Translations keep a survey's structure, and nobody answers another question than the others (CLAR-59)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.surveys.rules.translating import TranslationRefused, coverage, texts_of, translated

QUESTION: dict[str, Any] = {
    "question_id": "q1",
    "question_type": "radio_button",
    "question_text": "How are you?",
    "answers": [{"text": "Well"}, {"text": "Badly", "extra": 1}],
    "display_if": {"==": ["q0", 1]},
}
ANSWERS = {"Well": "Bien", "Badly": "Mal"}
TEXTS = {"q1": {"How are you?": "¿Cómo está?", **ANSWERS}}


def test_texts_are_translated_and_all_else_stays():
    """CLAR-55: content and settings of the survey itself stay as they are."""
    (shown,) = translated([QUESTION], TEXTS)
    answers = [{"text": "Bien"}, {"text": "Mal", "extra": 1}]
    assert shown == QUESTION | {"question_text": "¿Cómo está?", "answers": answers}
    assert translated(["odd", None, {"question_id": 3}], TEXTS) == ["odd", None, {"question_id": 3}]


def test_answers_that_move_take_their_translations_along():
    moved = QUESTION | {"answers": [QUESTION["answers"][1], {"text": "Rarely"}, QUESTION["answers"][0]]}
    (shown,) = translated([moved], TEXTS)
    assert [answer["text"] for answer in shown["answers"]] == ["Mal", "Rarely", "Bien"]


def test_an_edited_text_is_shown_in_the_base_language_until_it_is_translated_anew():
    """Missing texts fall back to the base language, never blank."""
    edited = QUESTION | {"question_text": "How were you today?"}
    (shown,) = translated([edited], TEXTS)
    assert (shown["question_text"], shown["answers"][0]["text"]) == ("How were you today?", "Bien")
    found = coverage([edited], TEXTS)
    assert (found.total, found.done, found.outdated) == (3, 2, 1)
    assert found.places[0].earlier == (("How are you?", "¿Cómo está?"),)


def test_translations_of_published_texts_stay_while_a_draft_is_translated():
    draft = QUESTION | {"question_text": "How were you?"}
    typed = {"text-q1": "¿Cómo estuvo?", "answer-q1-0": "Bien", "answer-q1-1": "Mal"}
    texts = texts_of([draft], typed, TEXTS, [QUESTION])
    assert translated([draft], texts)[0]["question_text"] == "¿Cómo estuvo?"
    assert translated([QUESTION], texts)[0]["question_text"] == "¿Cómo está?"
    after_publishing = texts_of([draft], typed, texts, [draft])
    assert after_publishing == {"q1": {"How were you?": "¿Cómo estuvo?", **ANSWERS}}


def test_what_was_translated_before_an_edit_stays_until_the_question_is_whole_again():
    edited = QUESTION | {"question_text": "New"}
    texts = texts_of([edited], {"answer-q1-0": "Bien"}, TEXTS, [edited])
    assert texts == {"q1": {"Well": "Bien", "How are you?": "¿Cómo está?"}}


@pytest.mark.parametrize("typed", [{"answer-q1-0": "Bien", "answer-q1-1": " bien "}, {"answer-q1-1": "well"}])
def test_two_answers_that_would_read_the_same_are_refused(typed: dict[str, str]):
    """CLAR-59: else an answer could not be told by its text."""
    with pytest.raises(TranslationRefused, match="Question 1") as refused:
        texts_of([QUESTION], typed, {}, [])
    assert refused.value.place == "answer-q1-1"


def test_an_audio_survey_has_its_prompt():
    content = [{"prompt": "Tell us of your day."}]
    texts = texts_of(content, {"text-prompt": "Cuéntenos su día."}, {}, content)
    assert translated(content, texts) == [{"prompt": "Cuéntenos su día."}]


def test_questions_whose_id_stands_twice_are_left_in_the_base_language():
    assert coverage([QUESTION, QUESTION], {}).total == 0


KEYS = st.sampled_from(["question_id", "question_text", "answers", "text", "prompt", "question_type"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=4))
def test_content_of_any_form_is_read_without_error_and_unchanged(content: list[Any]):
    assert translated(content, {}) == content
    assert translated(content, texts_of(content, {}, {}, [])) == content
