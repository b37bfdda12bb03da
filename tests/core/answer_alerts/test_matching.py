"""Which answers match; in doubt one does, so that nobody is overlooked (CLAR-58)."""

import pytest

from core.answer_alerts.rules.matching import Answered, Condition, Verdict, verdict

CHOICE = Condition("any of", options=("Several days", "Nearly every day"), others=("Not at all",))


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (("Several days",), Verdict.YES),
        (("several DAYS ",), Verdict.YES),
        (("Not at all",), Verdict.NO),
        (("Not at all", "Nearly every day"), Verdict.YES),
        (("On several days",), Verdict.UNSURE),
        (("Not at all", "Some days"), Verdict.UNSURE),
        ((), Verdict.UNSURE),
    ],
)
def test_choices_match_by_text_and_edited_ones_unsurely(chosen: tuple[str, ...], expected: Verdict):
    """An answer that was inserted, moved or reworded since the rule was saved."""
    assert verdict(CHOICE, Answered("answered", chosen=chosen)) is expected


@pytest.mark.parametrize(
    ("comparison", "matching", "not_matching"),
    [
        ("above", (3.5,), (3, -1)),
        ("at least", (3, 4), (2.9,)),
        ("below", (2.9,), (3, 4)),
        ("at most", (3, -4), (3.1,)),
        ("equal", (3.0,), (2, 4)),
    ],
)
def test_numbers_are_compared(comparison: str, matching: tuple[float, ...], not_matching: tuple[float, ...]):
    condition = Condition(comparison, value=3)
    assert {verdict(condition, Answered("answered", number=n)) for n in matching} == {Verdict.YES}
    assert {verdict(condition, Answered("answered", number=n)) for n in not_matching} == {Verdict.NO}
    assert verdict(condition, Answered("answered")) is Verdict.UNSURE


@pytest.mark.parametrize("condition", [CHOICE, Condition("above", value=0)])
def test_what_was_skipped_or_not_shown_does_not_match_and_what_cannot_be_read_may(condition: Condition):
    assert verdict(condition, Answered("skipped")) is Verdict.NO
    assert verdict(condition, Answered("unseen")) is Verdict.NO
    assert verdict(condition, Answered("unreadable")) is Verdict.UNSURE
