"""Which questions a phone shows (PHONE-52, PHONE-55, PHONE-56, SURVEY-26)."""

from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from core.streams.table import Platform
from core.surveys.rules.answering import Answer, is_left_open, is_shown, numbers_of, order_of, way_through
from core.surveys.rules.checking import check_questions
from core.surveys.rules.conditions import can_be_met
from tests.support.questions import answers_to, surveys_with_logic

ANDROID, IOS = Platform.ANDROID, Platform.IOS
TEXT = {"question_id": "t", "question_type": "info_text_box", "question_text": "!"}
SCALE = {"question_id": "s", "question_type": "slider", "question_text": "?", "min": "0", "max": "10"}
RADIO = {
    "question_id": "r",
    "question_type": "radio_button",
    "question_text": "?",
    "answers": [{"text": t} for t in "xyz"],
}
BOXES = RADIO | {"question_id": "b", "question_type": "checkbox"}
NUMBER = {"question_id": "n", "question_type": "free_response", "question_text": "?", "text_field_type": "NUMERIC"}
LINE = NUMBER | {"question_id": "l", "text_field_type": "SINGLE_LINE_TEXT"}
ASKED = [SCALE, RADIO, BOXES, NUMBER, LINE]


def shown(content: list[Any], given: dict[str, Answer], platform: Platform = ANDROID) -> list[str]:
    way = way_through(content, {}, given, platform)
    assert way.stop is None
    return [content[place]["question_id"] for place in way.shown]


@pytest.mark.parametrize("platform", Platform)
@pytest.mark.parametrize(
    ("logic", "given", "is_there"),
    [
        ({"==": ["s", 7]}, {"s": 7}, True),
        ({">": ["s", 7]}, {"s": 7}, False),
        ({">=": ["s", 6.5]}, {"s": 7}, True),
        ({"==": ["r", 1]}, {"r": 1}, True),  # the index, not the text
        ({"<": ["r", 1]}, {"r": 1}, False),
        ({"==": ["b", 2]}, {"b": (0, 2)}, True),  # any ticked answer
        ({"==": ["b", 1]}, {"b": (0, 2)}, False),
        ({"and": [{"==": ["b", 0]}, {"==": ["b", 2]}]}, {"b": (0, 2)}, True),
        ({"not": {"==": ["b", 0]}}, {"b": (0, 2)}, False),
        ({"<": ["n", 3]}, {"n": "2.5"}, True),
        ({"==": ["n", -1]}, {"n": " -1 "}, True),
        ({"<": ["n", 3]}, {"n": "two"}, False),  # no number meets no comparison
        ({"<": ["n", 3]}, {"n": "1e1"}, False),
        ({"not": {"<": ["n", 3]}}, {"n": "two"}, True),
        ({"<": ["s", 99]}, {}, False),  # unanswered
        ({"==": ["b", 0]}, {"b": ()}, False),
        ({"not": {"==": ["s", 0]}}, {}, True),
        ({"or": [{"==": ["s", 1]}, {"==": ["r", 0]}]}, {"r": 0}, True),
        ({"and": [{"==": ["s", 1]}, {"==": ["r", 0]}]}, {"r": 0}, False),
    ],
)
def test_conditions_compare_answers_as_phones_do(logic: dict, given: dict, is_there: bool, platform: Platform):
    """PHONE-56."""
    content = [*ASKED, TEXT | {"display_if": logic}]
    assert ("t" in shown(content, given, platform)) == is_there


def test_a_question_that_was_never_shown_differs_by_platform():
    """PHONE-56: a comparison with it is false on Android and true on iOS."""
    content = [SCALE, RADIO | {"display_if": {">": ["s", 5]}}, TEXT | {"display_if": {"==": ["r", 2]}}]
    assert shown(content, {"s": 1}, ANDROID) == ["s"]
    assert shown(content, {"s": 1}, IOS) == ["s", "t"]
    assert shown(content, {"s": 6}, IOS) == ["s", "r"]  # shown and unanswered
    # An answer that was given before going back and hiding the question is as if never given.
    assert shown(content, {"s": 1, "r": 2}, ANDROID) == ["s"]
    assert not is_shown({"==": ["gone", 1]}, {}, ANDROID)
    assert is_shown({"==": ["gone", 1]}, {}, IOS)
    assert not is_shown({"not": {"==": ["gone", 1]}}, {}, IOS)


def test_the_first_question_is_always_shown_on_android():
    """PHONE-56; its condition can only name a question that is not there, in surveys of old."""
    content = [TEXT | {"display_if": {"not": {"==": ["gone", 1]}}}, SCALE]
    assert shown(content, {}, ANDROID) == ["t", "s"]
    assert shown(content, {}, IOS) == ["s"]
    content[0] = TEXT | {"display_if": {"==": ["gone", 1]}}
    assert shown(content, {}, ANDROID) == shown(content, {}, IOS) == ["t", "s"]


@pytest.mark.parametrize(
    "logic",
    [
        {"!=": ["s", 1]},
        {"and": [{"not": {"==": ["s", 1]}}]},
        {"not": {"not": {"==": ["s", 1]}}},
        {"==": ["s", "1"]},
    ],
)
def test_the_ios_app_crashes_where_it_is_said_to(logic: dict):
    """PHONE-55: the way ends there, and Android goes on."""
    content = [SCALE, TEXT | {"display_if": logic}, RADIO]
    way = way_through(content, {}, {"s": 1}, IOS)
    assert way.shown == (0,)
    assert way.stop is not None and way.stop.place == 1 and "iOS app crashes" in way.stop.reason
    assert way_through(content, {}, {"s": 1}, ANDROID).stop is None


@pytest.mark.parametrize(
    "question", ["a text", {"question_type": "slider"}, RADIO | {"answers": []}, SCALE | {"min": "9", "max": "1"}]
)
def test_a_question_with_an_error_ends_the_way(question: Any):
    way = way_through([TEXT, question, RADIO | {"question_id": "z"}], {}, {}, ANDROID)
    assert way.shown == (0,)
    assert way.stop is not None and way.stop.place == 1 and "has an error" in way.stop.reason


def test_random_order_is_the_same_for_the_same_seed_and_obeys_no_condition():
    """PHONE-52."""
    content = [SCALE | {"question_id": str(n)} for n in range(20)] + [TEXT | {"display_if": {"==": ["1", 5]}}]
    chosen = {"randomize": True, "number_of_random_questions": 6}
    one = way_through(content, chosen, {}, ANDROID, seed=1)
    assert one == way_through(content, chosen, {"1": 5}, ANDROID, seed=1)
    assert one != way_through(content, chosen, {}, ANDROID, seed=2)
    assert len(one.shown) == 6 and one.asked == one.shown
    everything = way_through(content, {"randomize": True}, {}, IOS, seed=1)
    assert sorted(everything.shown) == list(range(21))


@pytest.mark.parametrize(("count", "android", "ios"), [(None, 5, 5), (0, 5, 0), (3, 3, 3), (5, 5, 5), (99, 5, 5)])
def test_how_many_random_questions_are_asked(count: int | None, android: int, ios: int):
    """PHONE-52: null or too many are all; 0 is all on Android and none on iOS."""
    content = [SCALE | {"question_id": str(n)} for n in range(5)]
    chosen = {"randomize": True, "number_of_random_questions": count}
    assert len(order_of(content, chosen, ANDROID)) == android
    assert len(order_of(content, chosen, IOS)) == ios
    assert order_of(content, {"number_of_random_questions": 1}, ANDROID) == [0, 1, 2, 3, 4]


@drawn(seed=st.integers(), count=st.integers(1, 4))
def test_with_memory_no_question_comes_again_until_all_were_asked(seed: int, count: int):
    """PHONE-52 `randomize_with_memory`."""
    content = [SCALE | {"question_id": str(n)} for n in range(8)]
    chosen = {"randomize": True, "randomize_with_memory": True, "number_of_random_questions": count}
    seen: list[str] = []
    while len(seen) + count <= len(content):
        seen += [content[place]["question_id"] for place in order_of(content, chosen, IOS, seed=seed, seen=seen)]
        assert len(set(seen)) == len(seen)
    rest = {str(n) for n in range(8)} - set(seen)
    following = [content[place]["question_id"] for place in order_of(content, chosen, IOS, seed=seed, seen=seen)]
    assert rest <= set(following)


@pytest.mark.parametrize(
    ("question", "answer", "is_open"),
    [
        (SCALE, None, True),
        (SCALE, 0, False),
        (RADIO, 0, False),
        (BOXES, (), True),
        (BOXES, (0,), False),
        (LINE, "  ", True),
        (NUMBER, "two", False),
        (TEXT, None, False),
    ],
)
def test_a_required_question_holds_until_it_is_answered(question: dict, answer: Answer, is_open: bool):
    """PHONE-53 `required`."""
    assert is_left_open(question | {"required": True}, answer) == is_open
    assert not is_left_open(question, answer)


def test_only_numbers_are_compared():
    assert numbers_of(LINE, "5") == ()
    assert numbers_of(NUMBER, "+.5") == (0.5,)
    assert numbers_of(NUMBER, "1,5") == numbers_of(NUMBER, "") == numbers_of(NUMBER, None) == ()


@drawn(surveys_with_logic(), st.data())
def test_what_cannot_be_met_is_never_shown(content: list[Any], data: st.DataObject):
    """SURVEY-23 `never_shown` and PHONE-56 agree on Android, where what was never shown meets nothing."""
    assert not check_questions(content)
    questions = {question["question_id"]: question for question in content}
    given = data.draw(answers_to(content))
    way = way_through(content, {}, given, ANDROID)
    for place in way.shown[1:]:
        if logic := content[place].get("display_if"):
            assert can_be_met(logic, questions)
