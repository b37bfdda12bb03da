"""What a score comes to: its least and greatest value, and with items left open (CLAR-57). Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.answers.rules.scoring import GivenAnswer, ScoreDefinition, ScoreItem, item_value, score_of
from core.answers.rules.wording import Wording


@dataclass(frozen=True)
class ScoreExamples:
    """The least and greatest value with all items answered; with the last item left open and the others at their
    greatest; and with one item fewer than have to be answered. None where there is no value.
    """

    least: float
    greatest: float
    one_open: float | None
    too_few: float | None


def examples_of(definition: ScoreDefinition, wordings: Iterable[Wording]) -> ScoreExamples | None:
    """Examples of a score of these questions; None if an item's values have no ends, as those of typed numbers."""
    known = {wording.question_id: wording for wording in wordings}
    least: dict[str, GivenAnswer] = {}
    greatest: dict[str, GivenAnswer] = {}
    for item in definition.items:
        wording = known.get(item.question_id)
        ordered = _by_value(item, _possible(wording)) if wording else []
        if not ordered:
            return None
        least[item.question_id], greatest[item.question_id] = ordered[0], ordered[-1]
    lowest, highest = (score_of(definition, given).value for given in (least, greatest))
    if lowest is None or highest is None:
        return None
    names = [item.question_id for item in definition.items]
    return ScoreExamples(
        lowest,
        highest,
        score_of(definition, _first(greatest, names, len(names) - 1)).value,
        score_of(definition, _first(greatest, names, definition.least_answered - 1)).value,
    )


def _first(given: Mapping[str, GivenAnswer], names: list[str], count: int) -> dict[str, GivenAnswer]:
    return {name: given[name] for name in names[:count]}


def _possible(wording: Wording) -> list[GivenAnswer]:
    """Answers that end a question's values: each option, or the ends of a slider."""
    count = len(wording.options)
    if wording.kind == "checkbox":
        choices = [(index,) for index in range(count)] + [tuple(range(count))]
        return [GivenAnswer(wording.kind, count, None, None, None, each) for each in choices if each]
    if count:
        return [GivenAnswer(wording.kind, count, None, None, None, (index,)) for index in range(count)]
    ends = [end for end in (wording.least, wording.most) if end is not None]
    return [GivenAnswer(wording.kind, 0, wording.least, wording.most, end, None) for end in ends]


def _by_value(item: ScoreItem, possible: Iterable[GivenAnswer]) -> list[GivenAnswer]:
    valued = [(item_value(item, given), given) for given in possible]
    return [given for value, given in sorted((pair for pair in valued if pair[0] is not None), key=lambda p: p[0] or 0)]
