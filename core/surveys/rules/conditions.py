"""Which answers can meet a condition (SURVEY-23 `never_shown`, PHONE-56). Pure.

A condition is a tree of comparisons. For each question that it names, the possible answers fall into classes: answers
of one class meet the same comparisons. A condition can be met if one combination of classes meets it. Every question
may also be unanswered, which meets no comparison.
"""

import itertools
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

MOST_COMBINATIONS = 50_000
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
Comparison = tuple[str, str, float]
"""Operator, id of the question, and number."""


def can_be_met(logic: Any, questions: Mapping[str, Any]) -> bool:
    """Whether some answers meet the condition; True also where there are too many combinations to decide.

    `questions` maps ids to questions. Condition and questions are ones that `check_questions` accepts.
    """
    comparisons = list(dict.fromkeys(comparisons_of(logic)))
    by_question: dict[str, list[Comparison]] = {}
    for comparison in comparisons:
        by_question.setdefault(comparison[1], []).append(comparison)
    classes = [list(_classes(questions[asked], own)) for asked, own in by_question.items()]
    if math.prod(len(of_question) for of_question in classes) > MOST_COMBINATIONS:
        return True
    return any(is_met(logic, frozenset().union(*met)) for met in itertools.product(*classes))


def comparisons_of(logic: Any) -> Iterator[Comparison]:
    """The comparisons of a condition, from left to right."""
    for name, operand in (logic or {}).items():
        if name in _COMPARE:
            yield name, operand[0], float(operand[1])
        else:
            for part in operand if isinstance(operand, list) else [operand]:
                yield from comparisons_of(part)


def is_met(logic: Any, met: frozenset[Comparison]) -> bool:
    """Whether the condition holds where exactly these of its comparisons do."""
    ((name, operand),) = logic.items()
    if name == "and":
        return all(is_met(part, met) for part in operand)
    if name == "or":
        return any(is_met(part, met) for part in operand)
    if name == "not":
        return not is_met(operand, met)
    return (name, operand[0], float(operand[1])) in met


def _classes(question: Mapping[str, Any], own: list[Comparison]) -> set[frozenset[Comparison]]:
    """The sets of comparisons that one answer to the question can meet at once, the empty one among them."""
    return set(classes_of_answers(question, own)) | {frozenset()}


def classes_of_answers(
    question: Mapping[str, Any], own: list[Comparison], most: int = MOST_COMBINATIONS
) -> dict[frozenset[Comparison], Any]:
    """The sets of these comparisons that one answer can meet at once, each with an answer that does (PHONE-56).

    `own` are comparisons of this question. Answers are numbers, indices, or tuples of indices for a checkbox, where
    any ticked index may meet a comparison. An answer is preferred to None, which is no answer. A required question
    has None for the empty set only where it is a typed number, since what was typed may be none. Of more than `most`
    sets some are left out.
    """
    single: dict[frozenset[Comparison], Any] = {}
    for number in _numbers(question, own):
        single.setdefault(frozenset(c for c in own if compares(c[0], number, c[2])), number)
    if question["question_type"] == "checkbox":
        single = _unions(single, most)
    may_be_nothing = question.get("required") is not True or question["question_type"] == "free_response"
    return single if frozenset() in single or not may_be_nothing else single | {frozenset(): None}


def compares(name: str, answer: float, number: float) -> bool:
    """Whether an answer meets a comparison; `name` is one of `==`, `!=`, `<`, `<=`, `>`, `>=`."""
    return _COMPARE[name](answer, number)


def _unions(single: dict[frozenset[Comparison], Any], most: int) -> dict[frozenset[Comparison], tuple[int, ...]]:
    """What several ticked answers meet together, each set with the indices to tick."""
    found: dict[frozenset[Comparison], tuple[int, ...]] = {met: (index,) for met, index in single.items()}
    for met, index in single.items():
        for other, indices in list(found.items()):
            found.setdefault(met | other, (*indices, index))
        if len(found) > most:
            break
    return found


def _numbers(question: Mapping[str, Any], own: list[Comparison]) -> Iterable[float]:
    """Numbers that stand for all answers of the question: whole ones of a list or slider, else any number."""
    if question["question_type"] == "slider":
        return range(int(float(question["min"])), int(float(question["max"])) + 1)
    if question["question_type"] in ("radio_button", "checkbox"):
        return range(len(question["answers"]))
    named = sorted({number for _, _, number in own})
    between = [(low + high) / 2 for low, high in itertools.pairwise(named)]
    return [named[0] - 1, *named, *between, named[-1] + 1]
