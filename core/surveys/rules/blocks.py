"""A block of questions taken out of a survey, to stand in another one (SURVEY-25, SURVEY-27). Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from core.surveys.rules.checking import COMPARISONS
from core.surveys.rules.sentences import logic_sentence, numbered


@dataclass(frozen=True)
class Dropped:
    """A question of the block whose condition named questions outside of it, with the whole condition in words."""

    question: str
    condition: str


@dataclass(frozen=True)
class Block:
    """Questions in the order of their survey, with conditions on each other only, and what was dropped of others."""

    questions: list[Any]
    dropped: list[Dropped]


def block_of(content: list[Any], chosen: Collection[str]) -> Block:
    """The questions with these ids. Comparisons with other questions are dropped from their conditions."""
    known = numbered(content)
    questions: list[Any] = []
    dropped: list[Dropped] = []
    inside: set[str] = set()
    for question in content:
        name = question.get("question_id") if isinstance(question, dict) else None
        if not isinstance(name, str) or name not in chosen:
            continue
        inside.add(name)
        logic = question.get("display_if")
        kept = without_others(logic, inside)
        if kept != logic:
            text = str(question.get("question_text") or "without a text")
            dropped.append(Dropped(text, logic_sentence(logic, known)))
            question = question | {"display_if": kept}
        questions.append(question)
    return Block(questions, dropped)


def without_others(logic: Any, inside: Collection[str]) -> Any:
    """The condition without comparisons of other questions; a group of which one part is left is that part.

    None where nothing is left. What cannot be read stays, for checking to name it.
    """
    if not isinstance(logic, dict) or len(logic) != 1:
        return logic
    ((name, operand),) = logic.items()
    if name in COMPARISONS and isinstance(operand, list) and operand:
        return logic if operand[0] in inside else None
    if name == "not":
        kept = without_others(operand, inside)
        return None if kept is None else {"not": kept}
    if not isinstance(operand, list):
        return logic
    parts = [kept for part in operand if (kept := without_others(part, inside)) is not None]
    if len(parts) == len(operand):
        return {name: parts}
    return None if not parts else parts[0] if len(parts) == 1 else {name: parts}
