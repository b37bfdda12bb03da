"""Whether an answer matches the condition of an alert. Pure; in doubt it does, and says that it is unsure (CLAR-58)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.answers.reading import AnswerState
from core.surveys.rules.answer_files import without_separators


class Verdict(StrEnum):
    """What an answer is to a condition."""

    NO = "no"
    YES = "yes"
    UNSURE = "unsure"


@dataclass(frozen=True)
class Condition:
    """`comparison` is one of `Comparison`; `value` belongs to numbers, `options` and `others` to choices."""

    comparison: str
    value: float | None = None
    options: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answered:
    """An answer as it is stored: its state, the number, or the texts of the answers that were chosen."""

    state: str
    number: float | None = None
    chosen: tuple[str, ...] = ()


_NUMBERS = {
    "above": lambda number, value: number > value,
    "at least": lambda number, value: number >= value,
    "below": lambda number, value: number < value,
    "at most": lambda number, value: number <= value,
    "equal": lambda number, value: number == value,
}


def verdict(condition: Condition, answer: Answered) -> Verdict:
    """Questions that were skipped or not shown do not match; answers that cannot be mapped may."""
    if answer.state == AnswerState.UNREADABLE:
        return Verdict.UNSURE
    if answer.state != AnswerState.ANSWERED:
        return Verdict.NO
    if condition.comparison == "any of":
        return _of_choices(condition, answer.chosen)
    if answer.number is None or condition.value is None:
        return Verdict.UNSURE
    return Verdict.YES if _NUMBERS[condition.comparison](answer.number, condition.value) else Verdict.NO


def _of_choices(condition: Condition, chosen: Sequence[str]) -> Verdict:
    """A text in neither list was edited since the rule was saved. Files lack commas and line ends."""
    texts = {same_text(text) for text in chosen}
    if texts & {same_text(text) for text in condition.options}:
        return Verdict.YES
    known = {same_text(text) for text in condition.others}
    return Verdict.NO if texts and texts <= known else Verdict.UNSURE


def same_text(text: str) -> str:
    """The text of an answer as it is compared: as files hold it, without regard to case."""
    return without_separators(text).strip().casefold()
