"""Surveys with skip logic, and answers to them, for property tests."""

from typing import Any

from hypothesis import strategies as st

KINDS = ("slider", "radio_button", "checkbox", "free_response", "info_text_box")


@st.composite
def surveys_with_logic(draw: st.DrawFn, most: int = 6, *, is_for_ios: bool = False) -> list[Any]:
    """The content of a tracking survey that can be published; with `is_for_ios` one on which the iOS app runs."""
    content: list[Any] = []
    for number in range(draw(st.integers(1, most))):
        question = _question(str(number), draw(st.sampled_from(KINDS)))
        question["required"] = draw(st.booleans())
        asked = [q["question_id"] for q in content if q["question_type"] != "info_text_box"]
        if asked and draw(st.booleans()):
            question["display_if"] = draw(_logic(asked, is_for_ios=is_for_ios))
        content.append(question)
    return content


def answers_to(content: list[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Answers by question id, as `way_through` takes them; some are left out unless they are required."""
    return st.fixed_dictionaries({question["question_id"]: _answer(question) for question in content})


def _question(question_id: str, kind: str) -> dict[str, Any]:
    question: dict[str, Any] = {"question_id": question_id, "question_type": kind, "question_text": "?"}
    if kind == "slider":
        question |= {"min": "0", "max": "3"}
    elif kind in ("radio_button", "checkbox"):
        question["answers"] = [{"text": text} for text in ("never", "some", "often")]
    elif kind == "free_response":
        question["text_field_type"] = "NUMERIC"
    return question


def _answer(question: dict[str, Any]) -> st.SearchStrategy[Any]:
    kind, none = question["question_type"], st.none()
    if kind == "info_text_box":
        return none
    given: st.SearchStrategy[Any] = st.integers(0, 3 if kind == "slider" else 2)
    if kind == "checkbox":
        given = st.sets(st.integers(0, 2), min_size=1).map(lambda ticked: tuple(sorted(ticked)))
    elif kind == "free_response":
        return st.sampled_from(["-1", "0", "0.5", "1", "2", "3", "3.5", "9", "no number", ""])
    return given if question["required"] else given | none


def _logic(asked: list[str], *, is_for_ios: bool) -> st.SearchStrategy[Any]:
    names = ["==", "<", "<=", ">", ">="] + ([] if is_for_ios else ["!="])
    compared = st.builds(
        lambda name, of, number: {name: [of, number]},
        st.sampled_from(names),
        st.sampled_from(asked),
        st.sampled_from([-1, 0, 0.5, 1, 2, 3, 4]),
    )
    groups = st.recursive(
        compared, lambda part: _group(part) if is_for_ios else _group(part) | _denied(part), max_leaves=4
    )
    return groups | _denied(groups)


def _group(part: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda name, parts: {name: parts}, st.sampled_from(["and", "or"]), st.lists(part, min_size=1, max_size=3)
    )


def _denied(part: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return part.map(lambda inner: {"not": inner})
