"""New ids for questions whose ids are taken, with the logic that names them (CLAR-50). Pure."""

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any


def new_id() -> str:
    """A question's id that no other question has."""
    return str(uuid.uuid4())


def with_new_ids(content: list[Any], taken: Collection[str], make: Callable[[], str] = new_id) -> list[Any]:
    """The questions with new ids in place of those that are taken, also where logic names them.

    All else stays as it is, texts included that are equal to an id. Where nothing is taken, it is the same list.
    """
    new = {
        question["question_id"]: make()
        for question in content
        if isinstance(question, dict)
        and isinstance(question.get("question_id"), str)
        and question["question_id"] in taken
    }
    return [_renamed(question, new) for question in content] if new else content


def new_names(before: Sequence[Any], after: Sequence[Any]) -> dict[str, str]:
    """The ids of questions before and after; both contents have the same questions in the same order."""
    return {
        old["question_id"]: new["question_id"]
        for old, new in zip(before, after, strict=True)
        if isinstance(old, dict) and isinstance(old.get("question_id"), str)
    }


def _renamed(question: Any, new: Mapping[str, str]) -> Any:
    if not isinstance(question, dict):
        return question
    changed = dict(question)
    if isinstance(name := question.get("question_id"), str):
        changed["question_id"] = new.get(name, name)
    if "display_if" in question:
        changed["display_if"] = _renamed_logic(question["display_if"], new)
    return changed


def _renamed_logic(part: Any, new: Mapping[str, str]) -> Any:
    """Comparisons, `[question id, number]`, are the only lists in logic that begin with a text (SURVEY-21)."""
    if isinstance(part, dict):
        return {operator: _renamed_logic(operand, new) for operator, operand in part.items()}
    if isinstance(part, list) and part and isinstance(part[0], str):
        return [new.get(part[0], part[0]), *part[1:]]
    return [_renamed_logic(each, new) for each in part] if isinstance(part, list) else part
