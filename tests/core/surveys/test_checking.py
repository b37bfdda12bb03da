"""Checking questions and skip logic, against all golden cases (SURVEY-20 to SURVEY-24)."""

import json
from typing import Any

import pytest

from core.surveys.rules.checking import check_questions
from tests.support.paths import VECTORS

CASES = json.loads((VECTORS / "surveys" / "skip_logic.json").read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_first_error_of_each_question_is_found(case: dict[str, Any]):
    """SURVEY-20, SURVEY-21, SURVEY-22, SURVEY-24."""
    found = {finding.question_id: finding.kind for finding in check_questions(case["content"])}
    assert found == case.get("by_question", {})
    assert sorted(set(found.values())) == case.get("errors", [])


def slider(name: str, **more: Any) -> dict[str, Any]:
    return {"question_id": name, "question_type": "slider", "question_text": "?", "min": 0, "max": 5, **more}


@pytest.mark.parametrize(
    ("content", "kinds"),
    [
        ([slider("a", max=10**400)], ["bad_slider_range"]),
        ([slider("a"), slider("b", display_if={"==": ["a", 10**400]})], ["value_not_a_number"]),
        ([slider("a", question_type=[]), slider("b", display_if={"==": ["a", 1]})], ["unknown_question_type"]),
    ],
    ids=["large end", "large number", "type that is a list"],
)
def test_what_python_cannot_convert_is_a_finding(content: list[Any], kinds: list[str]):
    """SURVEY-22."""
    assert [finding.kind for finding in check_questions(content)] == kinds
