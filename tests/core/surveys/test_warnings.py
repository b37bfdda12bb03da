"""Warnings of skip logic on which the iOS app crashes (PHONE-55, SURVEY-23)."""

import json

import pytest

from core.surveys.content import questions_to_store
from core.surveys.rules.checking import check_questions
from core.surveys.rules.warnings import warnings_of
from tests.support.paths import VECTORS

CASES = json.loads((VECTORS / "surveys" / "skip_logic.json").read_text())["cases"]


@pytest.mark.parametrize("case", [c for c in CASES if c["valid"]], ids=lambda case: case["name"])
def test_golden_content_gets_its_warnings_and_no_needless_ones(case: dict):
    """SURVEY-23, SURVEY-24, PHONE-55."""
    assert not check_questions(case["content"])
    kinds = {warning.kind for warning in warnings_of(case["content"])}
    # One case contradicts itself without its author having said so.
    assert kinds - ({"never_shown"} if case["name"] == "and of 2" else set()) == set(case["warnings"])


SCALE = {"question_id": "a", "question_type": "slider", "question_text": "?", "min": "0", "max": "10"}
BOXES = {"question_id": "a", "question_type": "checkbox", "question_text": "?", "answers": [{"text": t} for t in "xyz"]}
RADIO = BOXES | {"question_type": "radio_button"}
NUMBER = {"question_id": "a", "question_type": "free_response", "question_text": "?", "text_field_type": "NUMERIC"}


@pytest.mark.parametrize(
    ("asked", "logic", "can_be_shown"),
    [
        (SCALE, {"and": [{">": ["a", 3]}, {"<": ["a", 5]}]}, True),
        (SCALE, {"and": [{">": ["a", 3]}, {"<": ["a", 4]}]}, False),
        (SCALE, {"==": ["a", 3.5]}, False),
        (SCALE, {"not": {"<=": ["a", 10]}}, True),  # the question may be left out
        (SCALE, {"or": [{">": ["a", 99]}, {"==": ["a", 0]}]}, True),
        (RADIO, {"and": [{"==": ["a", 0]}, {"==": ["a", 1]}]}, False),
        (BOXES, {"and": [{"==": ["a", 0]}, {"==": ["a", 1]}]}, True),  # both may be ticked
        (BOXES, {"and": [{"==": ["a", 0]}, {"==": ["a", 3]}]}, False),
        (NUMBER, {"and": [{">": ["a", 3]}, {"<": ["a", 4]}]}, True),
        (NUMBER, {"and": [{">": ["a", 4]}, {"<": ["a", 3]}]}, False),
        (NUMBER, {"==": ["a", -1.5]}, True),
    ],
)
def test_a_condition_that_no_answer_meets_is_told(asked: dict, logic: dict, can_be_shown: bool):
    """SURVEY-23 `never_shown`, PHONE-56."""
    content = [asked, {"question_id": "b", "question_type": "info_text_box", "question_text": "!", "display_if": logic}]
    assert not check_questions(content)
    kinds = [warning.kind for warning in warnings_of(content)]
    assert ("never_shown" not in kinds) == can_be_shown


def test_conditions_over_many_questions_are_decided_or_left_open_in_time():
    """SURVEY-23: without a warning where there are too many combinations."""
    content = [SCALE | {"question_id": f"q{n}"} for n in range(40)]
    logic = {"and": [{"or": [{"==": [f"q{n}", m]} for m in range(10)]} for n in range(40)]}
    content.append({"question_id": "b", "question_type": "info_text_box", "question_text": "!", "display_if": logic})
    assert warnings_of(content) == []


def test_other_warnings_name_their_questions():
    """SURVEY-10, SURVEY-16, SURVEY-23."""
    answers = [{"text": "never"}, {"text": "often; always"}]
    content = [RADIO | {"answers": answers}, {**SCALE, "question_id": "b", "display_if": {"==": ["a", 1]}}]
    found = [(w.question_id, w.kind) for w in warnings_of(content, {"randomize": True})]
    assert found == [("a", "ambiguous_answer_text"), ("b", "logic_ignored")]
    assert [w.kind for w in warnings_of([SCALE | {"question_id": str(n)} for n in range(151)])] == ["over_long"]


@pytest.mark.parametrize("end", ["1_0", " 5", "1e1", "٥", ""])
def test_ends_of_sliders_that_phones_cannot_read_are_refused(end: str):
    content = [{"question_id": "a", "question_type": "slider", "question_text": "?", "min": "0", "max": end}]
    assert [f.question_id for f in check_questions(content)] == ["a"]


@pytest.mark.parametrize("case", [c for c in CASES if c.get("stored")], ids=lambda case: case["name"])
def test_numbers_given_as_texts_are_stored_as_numbers(case: dict):
    """SURVEY-22, SURVEY-24."""
    assert questions_to_store(case["content"]) == case["stored"]
    assert "crashes_ios" not in {warning.kind for warning in warnings_of(case["stored"])}
