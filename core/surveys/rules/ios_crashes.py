"""Skip logic on which the iOS app crashes (PHONE-55, SURVEY-23)."""

from collections.abc import Iterator
from typing import Any

from core.surveys.rules.checking import GROUPS, Finding


def ios_crashes(content: list[Any]) -> list[Finding]:
    """A warning of kind `crashes_ios` for each question whose logic crashes the app, in the order of the questions.

    The content is one that `check_questions` accepts.
    """
    reasons = ((question["question_id"], next(_reasons(question.get("display_if")), "")) for question in content)
    return [Finding(question_id, "crashes_ios", reason) for question_id, reason in reasons if reason]


def _reasons(logic: Any, is_inside: bool = False) -> Iterator[str]:
    """Why the app crashes on this logic; `is_inside`: it is a part of `and`, `or` or `not`."""
    if not logic:
        return
    ((operator, operand),) = logic.items()
    if operator == "!=":
        yield "The iOS app crashes on “!=”. Write “not” around “==”."
    elif operator == "not":
        if is_inside:
            yield "The iOS app crashes on “not” inside “and”, “or” or “not”."
        yield from _reasons(operand, is_inside=True)
    elif operator in GROUPS:
        for part in operand:
            yield from _reasons(part, is_inside=True)
    elif isinstance(operand[1], str):
        yield "The iOS app crashes on a number given as text. It becomes a number when the survey is saved."
