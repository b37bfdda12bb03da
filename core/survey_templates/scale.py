"""What a published scale is: its questions, scores, source and licence, with worked examples. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Item:
    """A question of a scale. `codes` are the values of its answers in order."""

    text: str
    options: tuple[str, ...]
    codes: tuple[int, ...]


@dataclass(frozen=True)
class ScaleScore:
    """A score of a scale: the sum or mean of items by number, counted from 1, some of them reversed.

    `least_answered` is how many must be answered, else there is no score; a sum is prorated. `bands` say what values
    mean by the source: the greatest value of each, with its words.
    """

    name: str
    variable: str
    items: tuple[int, ...]
    least_answered: int
    reversed_items: tuple[int, ...] = ()
    combination: str = "sum"
    bands: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Example:
    """Answers by place among the options, from 0, None for none; and the scores that the source's rules give."""

    answers: tuple[int | None, ...]
    values: Mapping[str, float | None]


@dataclass(frozen=True)
class Scale:
    """A scale that may be used freely. `source` is the paper, `licence` on what terms it may be used.

    `to_watch` are the numbers of items whose answers call for an alert, with the words why.
    """

    key: str
    name: str
    about: str
    source: str
    licence: str
    items: tuple[Item, ...]
    scores: tuple[ScaleScore, ...]
    examples: tuple[Example, ...]
    to_watch: tuple[tuple[int, str], ...] = ()

    def content(self, ids: tuple[str, ...]) -> list[dict[str, Any]]:
        """The questions of a survey, radio buttons, with these ids. None must be answered: an open item is missing."""
        return [
            {
                "question_id": question_id,
                "question_type": "radio_button",
                "question_text": item.text,
                "answers": [{"text": option} for option in item.options],
                "required": False,
                "display_if": None,
            }
            for question_id, item in zip(ids, self.items, strict=True)
        ]

    def definition(self, score: ScaleScore, ids: tuple[str, ...]) -> dict[str, Any]:
        """The score over the questions with these ids, as `core.answers.rules.scoring` reads it."""
        items = [
            {
                "question_id": ids[number - 1],
                "is_reversed": number in score.reversed_items,
                "values": [float(code) for code in self.items[number - 1].codes],
            }
            for number in score.items
        ]
        return {"combination": score.combination, "items": items, "least_answered": score.least_answered}


def same_answers(
    stem: str, texts: tuple[str, ...], options: tuple[str, ...], codes: tuple[int, ...]
) -> tuple[Item, ...]:
    """Items that share a beginning and answers. The beginning stands in each: phones show one question at a time."""
    return tuple(Item(f"{stem} {text}".strip(), options, codes) for text in texts)


def all_of(items: tuple[Item, ...]) -> tuple[int, ...]:
    """The numbers of all items."""
    return tuple(range(1, len(items) + 1))
