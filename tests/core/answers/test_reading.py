"""Answer files of both apps, old and new, are read to the same answers (CLAR-56)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.answers.reading import AnswerState, ReadAnswer, read_answers
from core.streams.table import Platform
from core.surveys.rules.answer_files import ANSWERS_HEADER, answers_file
from core.surveys.rules.answering import way_through
from tests.support.paths import VECTORS

SLEEP = {
    "question_id": "sleep",
    "question_type": "radio_button",
    "question_text": "Did you sleep?",
    "answers": [{"text": "yes"}, {"text": "no; badly"}, {"text": "no"}],
}
WHY = {
    "question_id": "why",
    "question_type": "checkbox",
    "question_text": "Why not?",
    "answers": [{"text": "noise"}, {"text": "pain, bad"}, {"text": "noise; pain"}],
}
LOW = {"question_id": "low", "question_type": "slider", "question_text": "How low?", "min": "-5", "max": "5"}
TYPED = {"question_type": "free_response", "question_text": "?"}
HOURS = TYPED | {"question_id": "hours", "text_field_type": "NUMERIC"}
REST = TYPED | {"question_id": "rest", "text_field_type": "MULTI_LINE_TEXT"}
CONTENT: list[dict[str, Any]] = [SLEEP, WHY, LOW, HOURS, REST]
VERSION = {question["question_id"]: question for question in CONTENT}


def line(text: str, version: bool = True) -> ReadAnswer:
    (found,) = read_answers(f"{ANSWERS_HEADER}\n{text}\n".encode(), [VERSION] if version else ())
    return found


@pytest.mark.parametrize(
    ("text", "indices"),
    [
        ("sleep,Radio Button Question,Did you sleep?,[yes; no; badly; no],1", (1,)),  # a newer Android app
        ("sleep,Radio Button Question,Did you sleep?,[yes; no; badly; no],no; badly", (1,)),  # an older one
        ("sleep,radio_button,Did you sleep?,yes;no; badly;no,no", (2,)),  # iOS
        ("why,Checkbox Question,Why not?,[noise; pain; bad; noise; pain],[noise; pain; bad]", (0, 1)),
        ("why,checkbox,Why not?,noise;pain; bad;noise; pain,noise;pain; bad", (0, 1)),
        ("why,checkbox,Why not?,noise;pain; bad;noise; pain,noise; pain", (2,)),
    ],
)
def test_choices_are_read_to_the_same_indices(text: str, indices: tuple[int, ...]):
    """CLAR-56: also with `;` and `,` in the texts, by the survey's version."""
    found = line(text)
    assert (found.state, found.indices) == (AnswerState.ANSWERED, indices)


@pytest.mark.parametrize(
    "text",
    [
        "x,Radio Button Question,?,[1; 2; 3],1",  # the text of the first, or the index of the second
        "x,radio_button,?,yes;no,maybe",
        "x,Radio Button Question,?,[yes; no],7",
        "x,Checkbox Question,?,[a; b],[a; c]",
        "x,Slider Question,?,min = 0; max = 5,high",
    ],
)
def test_what_cannot_be_mapped_is_said_to_be_so(text: str):
    """CLAR-56: counted and shown, never scored."""
    found = line(text, version=False)
    assert found.state is AnswerState.UNREADABLE and found.problem and found.text and not found.indices
    assert found.number is None


def test_a_list_of_equal_texts_ends_soon():
    """A file of a phone cannot keep the server busy."""
    many = ";".join(["a"] * 40)
    assert line(f"x,checkbox,?,{many},{many};b", version=False).state is AnswerState.UNREADABLE


def test_indices_that_agree_with_texts_are_read():
    """CLAR-56: options 0, 1, 2 mean the same both ways."""
    assert line("x,Radio Button Question,?,[0; 1; 2],1", version=False).indices == (1,)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ("NO_ANSWER_SELECTED", AnswerState.SKIPPED),
        ("", AnswerState.SKIPPED),
        ("[]", AnswerState.SKIPPED),
        ("NOT_PRESENTED", AnswerState.UNSEEN),
    ],
)
def test_open_and_unseen_questions_are_told_apart(answer: str, state: AnswerState):
    """CLAR-56."""
    assert line(f"why,checkbox,Why not?,noise;pain,{answer}").state is state


@pytest.mark.parametrize(
    ("text", "number"),
    [("3", 3.0), ("-2.5", -2.5), ("+4", 4.0), ("7 hours", None), ("nan", None), ("1_0", None), ("1.2.3", None)],
)
def test_typed_numbers(text: str, number: float | None):
    """CLAR-56: a typed answer that is no number stays as it was typed."""
    found = line(f"hours,Open Response Question,Hours?,Text-field input type = NUMERIC,{text}")
    assert (found.state, found.number, found.text) == (AnswerState.ANSWERED, number, text)


def test_commas_and_odd_texts_of_an_answer_are_kept():
    """Emoji, right-to-left text and HTML; a comma that an app did not replace belongs to the answer."""
    found = line("rest,free_response,?,Text-field input type = MULTI_LINE_TEXT,😀 שלום, <b>{{ 7*7 }}</b>")
    assert found.text == "😀 שלום, <b>{{ 7*7 }}</b>"


def test_lines_that_are_no_rows_are_left_out():
    assert read_answers(b"") == [] and read_answers(f"{ANSWERS_HEADER}\n,,,\nbroken\n".encode()) == []


@pytest.mark.parametrize("path", sorted((VECTORS / "chunks").rglob("surveyAnswers/**/*.csv")), ids=str)
def test_golden_files_are_read(path: Any):
    """A type that no app of today writes is read by what the row itself says."""
    answers = read_answers(path.read_bytes())
    assert answers and all(answer.question_id for answer in answers)


given_answers = st.fixed_dictionaries(
    {},
    optional={
        "sleep": st.integers(0, 2),
        "why": st.sets(st.integers(0, 2), min_size=1).map(lambda chosen: tuple(sorted(chosen))),
        "low": st.integers(-5, 5),
        "hours": st.integers(0, 24),
    },
)


@given(given_answers, st.sampled_from(Platform))
def test_what_either_app_writes_is_what_was_answered(given: dict[str, Any], platform: Platform):
    """CLAR-56: through the files that simulated phones upload."""
    way = way_through(CONTENT, {}, given, platform)
    file = "\n".join(answers_file(CONTENT, way, given, platform)).encode()
    found = {answer.question_id: answer for answer in read_answers(file, [VERSION])}
    for name, value in given.items():
        answer = found[name]
        if name == "why" and answer.state is AnswerState.UNREADABLE:
            assert answer.problem == "it can be read in several ways"  # noise and pain, or noise; pain
        elif name in ("sleep", "why"):
            assert answer.indices == (value if isinstance(value, tuple) else (value,))
        else:
            assert answer.number == value
    for question in CONTENT:
        if question["question_id"] not in given:
            assert found[question["question_id"]].state is AnswerState.SKIPPED
