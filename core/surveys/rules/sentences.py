"""Skip logic as a sentence (SURVEY-21). Pure."""

from collections.abc import Mapping
from typing import Any

LONGEST_TEXT = 60
_NUMBERS = {
    "==": "is",
    "!=": "is not",
    "<": "is less than",
    "<=": "is at most",
    ">": "is more than",
    ">=": "is at least",
}
_ANSWERS = {
    "==": "is",
    "!=": "is not",
    "<": "comes before",
    "<=": "comes before or is",
    ">": "comes after",
    ">=": "comes after or is",
}
_TICKED = {
    "==": "includes",
    "!=": "includes another than",
    "<": "includes one before",
    "<=": "includes one up to",
    ">": "includes one after",
    ">=": "includes one from",
}


def numbered(content: list[Any]) -> dict[str, tuple[int, Mapping[str, Any]]]:
    """Ids of questions to their numbers from 1, and themselves; of equal ids the first."""
    found: dict[str, tuple[int, Mapping[str, Any]]] = {}
    for number, question in enumerate(content, 1):
        if isinstance(question, dict) and isinstance(question.get("question_id"), str):
            found.setdefault(question["question_id"], (number, question))
    return found


def logic_sentence(logic: Any, questions: Mapping[str, tuple[int, Mapping[str, Any]]]) -> str:
    """The condition in words, without a full stop; what cannot be read is said to be so. Empty for no condition.

    `questions` is what `numbered` returns.
    """
    return _words(logic, questions, is_inside=False) if logic else ""


def _words(logic: Any, questions: Mapping[str, tuple[int, Mapping[str, Any]]], *, is_inside: bool) -> str:
    if not isinstance(logic, dict) or len(logic) != 1:
        return "a condition that cannot be read"
    ((name, operand),) = logic.items()
    if name == "not":
        return f"not ({_words(operand, questions, is_inside=False)})"
    if name in ("and", "or") and isinstance(operand, list):
        parts = [_words(part, questions, is_inside=True) for part in operand]
        joined = f" {name} ".join(parts)
        return f"({joined})" if is_inside and len(parts) > 1 else joined
    if name in _NUMBERS and isinstance(operand, list) and len(operand) == 2:
        return _comparison(name, operand, questions)
    return "a condition that cannot be read"


def _comparison(name: str, operand: list[Any], questions: Mapping[str, tuple[int, Mapping[str, Any]]]) -> str:
    number, question = questions.get(str(operand[0]), (0, {}))
    if not number:
        return f"a question that is not there {_NUMBERS[name]} {operand[1]}"
    who = f"question {number} “{_short(question.get('question_text'))}”"
    kind = question.get("question_type")
    if kind in ("radio_button", "checkbox"):
        verbs = _TICKED if kind == "checkbox" else _ANSWERS
        return f"{who} {verbs[name]} {_answer(question, operand[1])}"
    return f"{who} {_NUMBERS[name]} {operand[1]}"


def _answer(question: Mapping[str, Any], index: Any) -> str:
    """The answer with that index, counted from 0; `answer 5` where there is none."""
    answers = question.get("answers")
    is_index = isinstance(index, int) and not isinstance(index, bool)
    if is_index and isinstance(answers, list) and 0 <= index < len(answers) and isinstance(answers[index], dict):
        return f"“{_short(answers[index].get('text'))}”"
    return f"answer {index + 1}" if is_index else f"answer {index}"


def _short(text: Any) -> str:
    text = " ".join(str(text or "").split())
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"
