"""Warnings of skip logic on which the iOS app crashes (PHONE-55, SURVEY-23)."""

import json

import pytest

from core.surveys.rules.checking import check_questions
from core.surveys.rules.ios_crashes import ios_crashes
from tests.support.paths import VECTORS

CASES = json.loads((VECTORS / "surveys" / "skip_logic.json").read_text())["cases"]


@pytest.mark.parametrize("case", [c for c in CASES if c["valid"]], ids=lambda case: case["name"])
def test_golden_content_is_warned_of_where_the_app_crashes(case: dict):
    """SURVEY-23, PHONE-55."""
    assert not check_questions(case["content"])
    assert bool(ios_crashes(case["content"])) == ("crashes_ios" in case["warnings"])


def test_a_warning_names_its_question():
    content = [
        {"question_id": "a", "question_type": "slider", "min": "0", "max": "10"},
        {"question_id": "b", "question_type": "info_text_box", "display_if": {"not": {"not": {"==": ["a", 1]}}}},
    ]
    (warning,) = ios_crashes(content)
    assert (warning.question_id, warning.kind) == ("b", "crashes_ios") and "“not” inside" in warning.message


@pytest.mark.parametrize("end", ["1_0", " 5", "1e1", "٥", ""])
def test_ends_of_sliders_that_phones_cannot_read_are_refused(end: str):
    content = [{"question_id": "a", "question_type": "slider", "question_text": "?", "min": "0", "max": end}]
    assert [f.question_id for f in check_questions(content)] == ["a"]
