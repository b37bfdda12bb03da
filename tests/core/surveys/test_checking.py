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
