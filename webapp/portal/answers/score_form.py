"""The form of a score: its questions to tick, and what was typed as a definition."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from werkzeug.datastructures import MultiDict

from core.answers.rules.scoring import SCORABLE, ScoreDefinition, ScoreItem
from core.answers.rules.wording import Wording

_SEPARATORS = re.compile(r"[\s,;]+")


@dataclass(frozen=True)
class Item:
    """A question that may be an item of the score, with what its fields show. `wording` is None where the survey does
    not ask it any more.
    """

    question_id: str
    wording: Wording | None
    is_item: bool
    is_reversed: bool
    codes: str
    least: str
    most: str
    problem: str = ""

    @property
    def needs_ends(self) -> bool:
        """Whether its least and greatest value must be typed to reverse it."""
        return self.wording is not None and self.wording.kind == "free_response"


@dataclass(frozen=True)
class ScoreForm:
    """What the form shows. `problems` are those of fields, by name."""

    name: str
    variable: str
    combination: str
    least_answered: str
    items: list[Item]
    problems: dict[str, str] = field(default_factory=dict)


def scorable(wordings: Sequence[Wording]) -> list[Wording]:
    """The questions whose answers are numbers, or can be made numbers."""
    return [
        wording
        for wording in wordings
        if wording.kind in SCORABLE and (wording.kind != "free_response" or wording.field_type == "NUMERIC")
    ]


def stored_form(name: str, variable: str, definition: ScoreDefinition | None, wordings: Sequence[Wording]) -> ScoreForm:
    """The form of a stored score, or of a new one."""
    known = {item.question_id: item for item in definition.items} if definition else {}
    asked = {wording.question_id: wording for wording in scorable(wordings)}
    items = [_stored_item(question_id, asked.get(question_id), known.get(question_id)) for question_id in asked]
    items += [_stored_item(question_id, None, item) for question_id, item in known.items() if question_id not in asked]
    combination = definition.combination.value if definition else "sum"
    is_whole = definition is None or definition.least_answered == len(definition.items)
    least = "" if is_whole or not definition else str(definition.least_answered)
    return ScoreForm(name, variable, combination, least, items)


def _stored_item(question_id: str, wording: Wording | None, item: ScoreItem | None) -> Item:
    return Item(
        question_id,
        wording,
        item is not None,
        bool(item and item.is_reversed),
        ", ".join(f"{code:g}" for code in item.values) if item and item.values is not None else "",
        f"{item.least:g}" if item and item.least is not None else "",
        f"{item.most:g}" if item and item.most is not None else "",
    )


def typed_form(typed: MultiDict[str, str], wordings: Sequence[Wording]) -> ScoreForm:
    """The form as it was sent, with what cannot be read."""
    ticked, turned = typed.getlist("item"), set(typed.getlist("reversed"))
    asked = {wording.question_id: wording for wording in scorable(wordings)}
    items = []
    for question_id in [*asked, *(name for name in ticked if name not in asked)]:
        codes, least, most = (typed.get(f"{of}:{question_id}", "").strip() for of in ("codes", "least", "most"))
        item = Item(
            question_id, asked.get(question_id), question_id in ticked, question_id in turned, codes, least, most
        )
        problem = _problem(item) if item.is_item else ""
        items.append(Item(**{**vars(item), "problem": problem}))
    return ScoreForm(
        typed.get("name", "").strip(),
        typed.get("variable", "").strip(),
        typed.get("combination", "sum"),
        typed.get("least_answered", "").strip(),
        items,
        {"items": "Some items cannot be read; what is wrong stands beside them."}
        if any(item.problem for item in items)
        else {},
    )


def _problem(item: Item) -> str:
    codes, count = _numbers(item.codes), len(item.wording.options) if item.wording else 0
    if codes is None:
        return "Codes are numbers, such as 0, 1, 2, 3."
    if codes and count and len(codes) != count:
        return f"It has {count} answers, so it needs {count} codes, or none."
    ends = _numbers(f"{item.least} {item.most}")
    if ends is None or len(ends) == 1 or (len(ends) == 2 and ends[0] >= ends[1]):
        return "The least and the greatest value are two numbers, the least first."
    if item.is_reversed and item.needs_ends and not ends:
        return "To be reversed, it needs a least and a greatest value."
    if item.is_reversed and item.wording and item.wording.kind == "checkbox":
        return "Several answers cannot be reversed."
    return ""


def definition_of(form: ScoreForm) -> dict[str, Any]:
    """The definition as `save_score` takes it, of a form without problems."""
    items = [_item(item) for item in form.items if item.is_item]
    found: dict[str, Any] = {"combination": form.combination, "items": items}
    if form.least_answered:
        is_number = form.least_answered.isascii() and form.least_answered.isdecimal()
        found["least_answered"] = int(form.least_answered[:6]) if is_number else 0
    return found


def _item(item: Item) -> dict[str, Any]:
    codes, ends = _numbers(item.codes) or [], _numbers(f"{item.least} {item.most}") or []
    found: dict[str, Any] = {"question_id": item.question_id, "is_reversed": item.is_reversed}
    if codes and codes != list(map(float, range(len(codes)))):
        found["values"] = codes
    if len(ends) == 2:
        found |= {"least": ends[0], "most": ends[1]}
    return found


def _numbers(text: str) -> list[float] | None:
    """Numbers between spaces and commas; None if one cannot be read."""
    try:
        return [float(part) for part in _SEPARATORS.split(text) if part]
    except ValueError:
        return None


def with_problem(form: ScoreForm, problems: Mapping[str, str]) -> ScoreForm:
    """The form with further problems."""
    return ScoreForm(**{**vars(form), "problems": form.problems | dict(problems)})
