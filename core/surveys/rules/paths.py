"""All ways through a tracking survey: unreachable questions, shortest and longest way (SURVEY-26, CLAR-59). Pure.

The walk goes question by question and keeps what later conditions need to know: which of their comparisons hold so far.
Answers that meet the same comparisons are walked once. Beyond a bound of work nothing is claimed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.streams.table import Platform
from core.surveys.rules.answering import Answer, Stop, order_of, problems_of
from core.surveys.rules.checking import check_questions
from core.surveys.rules.conditions import Comparison, classes_of_answers, comparisons_of, is_met
from core.surveys.rules.sentences import numbered

MOST_STEPS = 50_000
State = frozenset[Comparison]
"""The comparisons of later conditions that hold after some questions."""


@dataclass(frozen=True)
class Example:
    """One way: how many questions it shows, and answers by question id that lead along it, where they matter."""

    shown: int
    answers: dict[str, Answer]


@dataclass(frozen=True)
class Walk:
    """What the walk over all ways found; places are counted from 0.

    Where `is_decided` is False nothing else is said. `stop` is the first question that has an error, or on which the
    app crashes: nothing else is said then either.
    `ways` is the number of different lists of questions that participants can see: None where it was not decided, and
    for random order, which is not counted.
    """

    is_decided: bool
    unreachable: tuple[int, ...] = ()
    shortest: Example | None = None
    longest: Example | None = None
    ways: int | None = None
    stop: Stop | None = None


class _TooMuch(Exception):
    """The bound of work is reached."""


@dataclass(frozen=True)
class _Trail:
    """The last step of a way, with the steps before it; an answer that no later condition needs is left out."""

    shown: int
    before: "_Trail | None" = None
    question_id: str = ""
    answer: Answer = None

    def example(self) -> Example:
        steps: list[tuple[str, Answer]] = []
        step: _Trail | None = self
        while step:
            if step.question_id:
                steps.append((step.question_id, step.answer))
            step = step.before
        return Example(self.shown, dict(reversed(steps)))


@dataclass(frozen=True)
class _Step:
    """A question as the walk sees it.

    `outcomes` are the sets of comparisons that its answers meet, each with an answer; `hidden` is the set that holds
    when the question is not shown. `kept` are comparisons of earlier and of this question that later ones need.
    """

    question_id: str
    logic: Any
    is_always_shown: bool
    outcomes: dict[State, Any]
    hidden: State
    kept: State


class _Work:
    """Counts the steps of a walk."""

    def __init__(self, most: int) -> None:
        self.left = most

    def spend(self, steps: int = 1) -> None:
        self.left -= steps
        if self.left < 0:
            raise _TooMuch


def walk_all_ways(
    content: list[Any], settings: Mapping[str, Any], platform: Platform, *, most_steps: int = MOST_STEPS
) -> Walk:
    """What participants with a phone of this platform can see of the survey.

    Takes at most about half a second; surveys that need more steps than `most_steps` are not decided.
    """
    if stop := _first_problem(content, platform):
        return Walk(is_decided=True, stop=stop)
    if settings.get("randomize") is True:
        count = len(order_of(content, settings, platform))
        never = () if count else tuple(range(len(content)))
        return Walk(True, never, Example(count, {}), Example(count, {}))
    work = _Work(most_steps)
    try:
        steps = _steps(content, platform, work)
        reached, ends = _search(steps, work)
    except _TooMuch:
        return Walk(is_decided=False)
    shortest = min((short for short, _ in ends.values()), key=lambda trail: trail.shown)
    longest = max((long for _, long in ends.values()), key=lambda trail: trail.shown)
    unreachable = tuple(place for place in range(len(content)) if place not in reached)
    return Walk(True, unreachable, shortest.example(), longest.example(), _count(steps, _Work(most_steps)))


def _first_problem(content: list[Any], platform: Platform) -> Stop | None:
    problems = problems_of(content, platform)
    places = {question_id: number - 1 for question_id, (number, _) in numbered(content).items()}
    for finding in check_questions(content):
        # Without an id, the finding names the question's number; it is among the problems already.
        if (place := places.get(finding.question_id)) is not None:
            problems.setdefault(place, f"This question has an error: {finding.message}")
    return Stop(min(problems), problems[min(problems)]) if problems else None


def _steps(content: list[Any], platform: Platform, work: _Work) -> list[_Step]:
    """The questions with their classes of answers, which are found within the bound."""
    last_use: dict[Comparison, int] = {}
    by_question: dict[str, list[Comparison]] = {}
    for place, question in enumerate(content):
        for comparison in comparisons_of(question.get("display_if")):
            work.spend()
            if comparison not in last_use:
                by_question.setdefault(comparison[1], []).append(comparison)
            last_use[comparison] = place
    return [
        _step(place, question, by_question.get(question["question_id"], []), last_use, platform, work)
        for place, question in enumerate(content)
    ]


def _step(
    place: int,
    question: Mapping[str, Any],
    own: list[Comparison],
    last_use: Mapping[Comparison, int],
    platform: Platform,
    work: _Work,
) -> _Step:
    outcomes: dict[State, Any] = {frozenset(): None}
    if own:
        outcomes = classes_of_answers(question, own, most=work.left)
        work.spend(len(outcomes))
    logic = question.get("display_if")
    return _Step(
        question_id=question["question_id"] if own else "",
        logic=logic,
        is_always_shown=not logic or (place == 0 and platform is Platform.ANDROID),
        outcomes=outcomes,
        hidden=frozenset(own) if platform is Platform.IOS else frozenset(),
        kept=frozenset(comparison for comparison, last in last_use.items() if last > place),
    )


def _search(steps: list[_Step], work: _Work) -> tuple[set[int], dict[State, tuple[_Trail, _Trail]]]:
    """Places that can be reached, and for each state at the end its shortest and its longest trail."""
    states: dict[State, tuple[_Trail, _Trail]] = {frozenset(): (_Trail(0), _Trail(0))}
    reached: set[int] = set()
    for place, step in enumerate(steps):
        after: dict[State, tuple[_Trail, _Trail]] = {}
        for state, (short, long) in states.items():
            work.spend()
            if not _shows(step, state):
                _keep(after, (state | step.hidden) & step.kept, short, long)
                continue
            reached.add(place)
            work.spend(len(step.outcomes) * (1 + len(state) // 10))  # large states take longer to compare
            for met, answer in step.outcomes.items():
                best = (_Trail(t.shown + 1, t, step.question_id, answer) for t in (short, long))
                _keep(after, (state | met) & step.kept, *best)
        states = after
    return reached, states


def _shows(step: _Step, state: State) -> bool:
    return step.is_always_shown or is_met(step.logic, state)


def _keep(found: dict[State, tuple[_Trail, _Trail]], state: State, short: _Trail, long: _Trail) -> None:
    if known := found.get(state):
        short = min(known[0], short, key=lambda trail: trail.shown)
        long = max(known[1], long, key=lambda trail: trail.shown)
    found[state] = (short, long)


def _count(steps: list[_Step], work: _Work) -> int | None:
    """How many different lists of questions can be seen; None beyond the bound.

    Several states can follow the same list so far, so that lists are counted by the sets of states behind them.
    """
    counts: dict[frozenset[State], int] = {frozenset({frozenset()}): 1}
    try:
        for step in steps:
            after: dict[frozenset[State], int] = {}
            for states, count in counts.items():
                shown = [state for state in states if _shows(step, state)]
                work.spend(len(states) + len(shown) * len(step.outcomes))
                with_it = frozenset((state | met) & step.kept for state in shown for met in step.outcomes)
                without = frozenset((s | step.hidden) & step.kept for s in states if not _shows(step, s))
                for following in (with_it, without):
                    if following:
                        after[following] = after.get(following, 0) + count
            counts = after
    except _TooMuch:
        return None
    return sum(counts.values())
