"""What differs between two versions of a survey's content (SURVEY-3). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.surveys.rules.sentences import numbered


class Difference(StrEnum):
    """What became of a question from one version to the other."""

    SAME = "same"
    CHANGED = "changed"
    MOVED = "moved"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True)
class ComparedQuestion:
    """A question in both versions, each with its number from 1; None in the one that lacks it.

    `keys` names what changed in it, such as `question_text`.
    """

    difference: Difference
    before: tuple[int, Mapping[str, Any]] | None
    after: tuple[int, Mapping[str, Any]] | None
    keys: tuple[str, ...] = ()


def compare(before: list[Any], after: list[Any]) -> list[ComparedQuestion]:
    """The questions of both contents by their ids: in the order of `after`, removed ones at the end.

    A question has moved if its place among those that both have is another.
    """
    old, new = numbered(before), numbered(after)
    common_before = [question_id for question_id in old if question_id in new]
    common_after = [question_id for question_id in new if question_id in old]
    moved = {one for one, other in zip(common_after, common_before, strict=True) if one != other}
    found = [_compared(old.get(question_id), new[question_id], is_moved=question_id in moved) for question_id in new]
    gone = [place for question_id, place in old.items() if question_id not in new]
    return found + [ComparedQuestion(Difference.REMOVED, place, None) for place in gone]


def _compared(
    before: tuple[int, Mapping[str, Any]] | None, after: tuple[int, Mapping[str, Any]], *, is_moved: bool
) -> ComparedQuestion:
    if before is None:
        return ComparedQuestion(Difference.ADDED, None, after)
    was, now = before[1], after[1]
    keys = tuple(key for key in dict.fromkeys([*was, *now]) if was.get(key) != now.get(key))
    difference = Difference.CHANGED if keys else Difference.MOVED if is_moved else Difference.SAME
    return ComparedQuestion(difference, before, after, keys)
