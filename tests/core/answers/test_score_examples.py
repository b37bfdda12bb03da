"""Examples of scores (CLAR-57)."""

from hypothesis import given
from hypothesis import strategies as st

from core.answers.rules.score_examples import examples_of
from core.answers.rules.scoring import GivenAnswer, definition_from, score_of
from core.answers.rules.wording import Wording

OPTIONS = ("never", "some days", "often", "always")
ASKED = [Wording(f"q{n}", "radio_button", f"Q {n}?", OPTIONS) for n in range(3)]


def test_ends_of_a_sum_with_an_item_left_open():
    items = [{"question_id": f"q{n}", "is_reversed": n == 1} for n in range(3)]
    found = examples_of(definition_from({"combination": "sum", "items": items, "least_answered": 2}), ASKED)
    assert found is not None
    assert (found.least, found.greatest, found.one_open, found.too_few) == (0, 9, 9, None)


def test_codes_and_several_answers_move_the_ends():
    asked = [ASKED[0], Wording("q9", "checkbox", "Which?", OPTIONS[:2])]
    items = [{"question_id": "q0", "values": [5, 1, 2, 9]}, {"question_id": "q9", "values": [1, 2]}]
    found = examples_of(definition_from({"combination": "mean", "items": items}), asked)
    assert found is not None and (found.least, found.greatest) == (1, 6)


def test_without_ends_there_are_no_examples():
    items = [{"question_id": "hours"}]
    definition = definition_from({"combination": "sum", "items": items})
    assert examples_of(definition, [Wording("hours", "free_response", "Hours?", field_type="NUMERIC")]) is None
    assert examples_of(definition, []) is None


@given(
    st.lists(st.lists(st.integers(-9, 9), min_size=4, max_size=4), min_size=3, max_size=3),
    st.lists(st.booleans(), min_size=3, max_size=3),
    st.lists(st.integers(0, 3), min_size=3, max_size=3),
    st.sampled_from(["sum", "mean"]),
)
def test_every_score_is_between_its_ends(codes, reversed_items, chosen, combination):
    items = [
        {"question_id": f"q{n}", "values": codes[n], "is_reversed": is_reversed}
        for n, is_reversed in enumerate(reversed_items)
    ]
    definition = definition_from({"combination": combination, "items": items})
    found = examples_of(definition, ASKED)
    given_answers = {
        f"q{n}": GivenAnswer("radio_button", 4, None, None, None, (index,)) for n, index in enumerate(chosen)
    }
    value = score_of(definition, given_answers).value
    assert found is not None and value is not None and found.least - 1e-9 <= value <= found.greatest + 1e-9
