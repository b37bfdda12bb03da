"""Skip logic in words, and versions compared. SURVEY-21, SURVEY-3."""

import json

import pytest

from core.surveys.rules.comparing import Difference, compare
from core.surveys.rules.sentences import logic_sentence, numbered
from tests.support.paths import VECTORS

CASES = json.loads((VECTORS / "surveys" / "skip_logic.json").read_text())["cases"]


def question(question_id: str, kind: str, text: str, *answers: str) -> dict:
    ends = {"answers": [{"text": answer} for answer in answers]} if answers else {"min": "0", "max": "10"}
    return {"question_id": question_id, "question_type": kind, "question_text": text, **ends}


CONTENT = [
    question("a", "slider", "Pain today?"),
    question("b", "radio_button", "Sleep?", "Bad", "Good"),
    question("c", "checkbox", "Who?", "Family", "Friends"),
]


@pytest.mark.parametrize(
    ("logic", "sentence"),
    [
        (None, ""),
        ({"==": ["a", 3]}, "question 1 “Pain today?” is 3"),
        ({">=": ["b", 1]}, "question 2 “Sleep?” comes after or is “Good”"),
        ({"==": ["c", 0]}, "question 3 “Who?” includes “Family”"),
        ({"==": ["b", 7]}, "question 2 “Sleep?” is answer 8"),
        ({"not": {"==": ["a", 3]}}, "not (question 1 “Pain today?” is 3)"),
        (
            {"or": [{"<": ["a", 3]}, {"and": [{">": ["a", 5]}, {"==": ["b", 0]}]}]},
            "question 1 “Pain today?” is less than 3 or"
            " (question 1 “Pain today?” is more than 5 and question 2 “Sleep?” is “Bad”)",
        ),
        ({"==": ["gone", 3]}, "a question that is not there is 3"),
        ({"and": "x"}, "a condition that cannot be read"),
        ("x", "a condition that cannot be read"),
    ],
)
def test_a_condition_reads_as_a_sentence(logic: object, sentence: str):
    """SURVEY-21."""
    assert logic_sentence(logic, numbered(CONTENT)) == sentence


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_whatever_is_stored_has_a_sentence(case: dict):
    """SURVEY-21, SURVEY-24: also content that checking refuses."""
    content = case["content"] if isinstance(case["content"], list) else []
    known = numbered(content)
    for question in content:
        if isinstance(question, dict):
            assert isinstance(logic_sentence(question.get("display_if"), known), str)


def test_versions_are_compared_by_the_ids_of_questions():
    """SURVEY-3."""
    a, b, c = CONTENT
    lines = compare([a, b, c], [b, a | {"max": "5"}, {**c, "question_id": "d"}])
    assert [(line.difference, line.keys) for line in lines] == [
        (Difference.MOVED, ()),
        (Difference.CHANGED, ("max",)),
        (Difference.ADDED, ()),
        (Difference.REMOVED, ()),
    ]
    assert all(line.difference is Difference.SAME for line in compare(CONTENT, CONTENT))
