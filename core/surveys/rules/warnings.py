"""What is allowed in a survey and yet not meant to be so (SURVEY-23)."""

from collections.abc import Iterator, Mapping
from typing import Any

from core.surveys.rules.checking import GROUPS, Finding, Level
from core.surveys.rules.conditions import can_be_met

MOST_QUESTIONS = 150
JOINING = (";", ",")
"""Characters that Android puts between several answers (SURVEY-16)."""


def warnings_of(content: list[Any], settings: Mapping[str, Any] | None = None) -> list[Finding]:
    """Warnings about the questions of a tracking survey, in their order, then about the whole.

    The content is one that `check_questions` accepts. `settings` are those of the survey, if they are known.
    """
    questions = {question["question_id"]: question for question in content}
    found = [warning for question in content for warning in _of_question(question, questions)]
    if (settings or {}).get("randomize") is True:
        found += [
            _warning(question["question_id"], "logic_ignored", "Questions are in random order, so this is not obeyed.")
            for question in content
            if question.get("display_if")
        ]
    if len(content) > MOST_QUESTIONS:
        found.append(_warning("", "over_long", f"{len(content)} questions are more than {MOST_QUESTIONS}."))
    return found


def _of_question(question: Mapping[str, Any], questions: Mapping[str, Any]) -> Iterator[Finding]:
    logic = question.get("display_if")
    if reason := next(crashes_ios(logic), ""):
        yield _warning(question["question_id"], "crashes_ios", reason)
    if logic and not can_be_met(logic, questions):
        yield _warning(question["question_id"], "never_shown", "No answer can meet this condition.")
    answers = question.get("answers") if question["question_type"] in ("radio_button", "checkbox") else None
    if ambiguous := [a["text"] for a in answers or () if any(mark in a["text"] for mark in JOINING)]:
        said = "Android writes several answers with “;” or “,” between them, and this one has such a mark: "
        yield _warning(question["question_id"], "ambiguous_answer_text", said + ambiguous[0])


def crashes_ios(logic: Any, is_inside: bool = False) -> Iterator[str]:
    """Why the iOS app crashes on this logic (PHONE-55); `is_inside`: it is a part of `and`, `or` or `not`."""
    if not logic:
        return
    ((operator, operand),) = logic.items()
    if operator == "!=":
        yield "The iOS app crashes on “!=”. Write “not” around “==”."
    elif operator == "not":
        if is_inside:
            yield "The iOS app crashes on “not” inside “and”, “or” or “not”."
        yield from crashes_ios(operand, is_inside=True)
    elif operator in GROUPS:
        for part in operand:
            yield from crashes_ios(part, is_inside=True)
    elif isinstance(operand[1], str):
        yield "The iOS app crashes on a number given as text. It becomes a number when the survey is saved."


def _warning(question_id: str, kind: str, message: str) -> Finding:
    return Finding(question_id, kind, message, Level.WARNING)
