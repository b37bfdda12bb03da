"""The walk over all ways through a survey (SURVEY-26, CLAR-59)."""

from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import settings as runs
from hypothesis import strategies as st

from core.streams.table import Platform
from core.surveys.rules.answering import way_through
from core.surveys.rules.paths import walk_all_ways
from tests.core.surveys.test_answering import BOXES, NUMBER, RADIO, SCALE, TEXT
from tests.support.questions import answers_to, surveys_with_logic

ANDROID, IOS = Platform.ANDROID, Platform.IOS


def under(logic: Any, name: str = "t") -> dict[str, Any]:
    return TEXT | {"question_id": name, "display_if": logic}


def test_the_shortest_and_the_longest_way_come_with_answers():
    """CLAR-59."""
    content = [SCALE, RADIO | {"display_if": {">": ["s", 6]}}, under({"==": ["r", 2]})]
    walk = walk_all_ways(content, {}, ANDROID)
    assert walk.is_decided and walk.unreachable == () and walk.ways == 3
    assert walk.shortest is not None and walk.longest is not None
    assert (walk.shortest.shown, walk.longest.shown) == (1, 3)
    assert walk.longest.answers == {"s": 7, "r": 2}


def test_what_one_condition_allows_and_another_forbids_is_unreachable():
    """CLAR-59: no single condition is a contradiction, and yet nobody sees the last question."""
    content = [SCALE, RADIO | {"display_if": {">": ["s", 6]}}, under({"and": [{"==": ["r", 2]}, {"<": ["s", 3]}]})]
    assert walk_all_ways(content, {}, ANDROID).unreachable == (2,)
    # On iOS a comparison with a question that was never shown is true (PHONE-56).
    assert walk_all_ways(content, {}, IOS).unreachable == ()


def test_required_questions_are_answered_on_every_way():
    content = [RADIO | {"required": True}, under({"not": {">=": ["r", 0]}})]
    assert walk_all_ways(content, {}, ANDROID).unreachable == (1,)
    assert walk_all_ways([RADIO, content[1]], {}, ANDROID).unreachable == ()
    boxes = [BOXES | {"required": True}, under({"not": {">=": ["b", 0]}})]
    assert walk_all_ways(boxes, {}, ANDROID).unreachable == (1,)
    typed = [NUMBER | {"required": True}, under({"and": [{"not": {">=": ["n", 0]}}, {"not": {"<": ["n", 0]}}]})]
    assert walk_all_ways(typed, {}, ANDROID).unreachable == ()  # what is typed may be no number


def test_random_order_reaches_all_unless_none_are_asked():
    """PHONE-52."""
    content = [SCALE, under({"==": ["s", 99]})]
    walk = walk_all_ways(content, {"randomize": True, "number_of_random_questions": 1}, ANDROID)
    assert walk.unreachable == () and walk.longest is not None and walk.longest.shown == 1 and walk.ways is None
    assert walk_all_ways(content, {"randomize": True, "number_of_random_questions": 0}, IOS).unreachable == (0, 1)


def test_errors_and_crashes_are_said_in_place_of_ways():
    """PHONE-55."""
    crashing = [SCALE, under({"!=": ["s", 1]})]
    walk = walk_all_ways(crashing, {}, IOS)
    assert walk.stop is not None and walk.stop.place == 1 and walk.shortest is None
    assert walk_all_ways(crashing, {}, ANDROID).stop is None
    wrong = walk_all_ways([SCALE, under({"==": ["later", 1]})], {}, ANDROID)
    assert wrong.stop is not None and wrong.stop.place == 1


def test_a_survey_without_questions_has_one_empty_way():
    walk = walk_all_ways([], {}, ANDROID)
    assert walk.is_decided and walk.ways == 1 and walk.longest is not None and walk.longest.shown == 0


def chain(count: int) -> list[Any]:
    """Each question depends on the one before."""
    content: list[Any] = [SCALE | {"question_id": "0"}]
    for number in range(1, count):
        content.append(SCALE | {"question_id": str(number), "display_if": {">": [str(number - 1), 5]}})
    return content


def test_a_hundred_and_fifty_questions_are_decided():
    """CLAR-59: within the bound of steps."""
    walk = walk_all_ways(chain(150), {}, ANDROID)
    assert walk.is_decided and walk.ways == 150 and walk.longest is not None and walk.longest.shown == 150
    assert walk.shortest is not None and walk.shortest.shown == 1


@pytest.mark.parametrize("kind", ["slider", "checkbox"])
def test_what_is_too_much_work_is_not_decided(kind: str):
    """CLAR-59: thirty questions that are all remembered until the end."""
    answers = [{"text": str(number)} for number in range(30)]
    content: list[Any] = [
        SCALE | {"question_id": str(n), "question_type": kind, "answers": answers} for n in range(149)
    ]
    parts = [{"or": [{"==": [str(n), m]} for m in range(0, 10, 2)]} for n in range(149)]
    content.append(under({"and": parts}))
    walk = walk_all_ways(content, {}, ANDROID)
    assert not walk.is_decided and walk.unreachable == () and walk.longest is None


@pytest.mark.parametrize("platform", Platform)
@drawn(data=st.data())
def test_the_walk_agrees_with_answering(platform: Platform, data: st.DataObject):
    """Every way that answers lead along lies within what the walk says, and its examples lead where they say."""
    content = data.draw(surveys_with_logic(is_for_ios=platform is IOS))
    walk = walk_all_ways(content, {}, platform)
    assert walk.is_decided and walk.stop is None and walk.shortest is not None and walk.longest is not None
    way = way_through(content, {}, data.draw(answers_to(content)), platform)
    assert not set(way.shown) & set(walk.unreachable)
    assert walk.shortest.shown <= len(way.shown) <= walk.longest.shown
    for example in (walk.shortest, walk.longest):
        given = {name: _typed(content, name, answer) for name, answer in example.answers.items()}
        assert len(way_through(content, {}, given, platform).shown) == example.shown


def _typed(content: list[Any], name: str, answer: Any) -> Any:
    kind = next(question["question_type"] for question in content if question["question_id"] == name)
    return str(answer) if kind == "free_response" and answer is not None else answer


@pytest.mark.parametrize("platform", Platform)
@runs(deadline=None, max_examples=40)
@drawn(content=surveys_with_logic(most=4, is_for_ios=True))
def test_the_number_of_ways_is_that_of_trying_all_answers(platform: Platform, content: list[Any]):
    found = {way_through(content, {}, given, platform).shown for given in _all_answers(content)}
    walk = walk_all_ways(content, {}, platform)
    assert walk.ways == len(found)
    assert set(walk.unreachable) == set(range(len(content))) - {place for way in found for place in way}


def _all_answers(content: list[Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{}]
    for question in content:
        kind, choices = question["question_type"], [None] * (question["required"] is False)
        if kind == "slider":
            choices += range(4)
        elif kind == "radio_button":
            choices += range(3)
        elif kind == "checkbox":
            choices += [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]
        elif kind == "free_response":
            choices = ["-2", "-1", "-0.5", "0", "0.2", "0.5", "0.7", "1", "1.5", "2", "2.5", "3", "3.5", "4", "5", "?"]
        else:
            choices = [None]
        found = [given | {question["question_id"]: choice} for given in found for choice in choices]
        if len(found) > 1000:
            break
    return found
