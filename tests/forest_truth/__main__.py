"""`python -m tests.forest_truth`: prints truth, measure and tolerance of every measure of six days."""

import sys
from collections.abc import Iterable

from tests.benchmarks.serving import migrated
from tests.forest_truth.life import AUTUMN, SPRING, Life
from tests.forest_truth.server import ALL_TREES, Line, compared, measure, settle
from tests.support.factories import Factory


def main() -> int:
    """Exit status 1 when a measure is out of its tolerance."""
    is_right = True
    with migrated():
        for first in (SPRING, AUTUMN):
            life = Life(first)
            participant = settle(life, Factory())
            for outcome in measure(participant, ALL_TREES, life.days):
                print(f"{outcome.tree}: {outcome.state} {outcome.reason or ''}", file=sys.stderr)
            lines = compared(life, participant, ALL_TREES, life.days)
            print("\n".join(table(lines)))
            is_right = is_right and all(line.is_right for line in lines)
    return 0 if is_right else 1


def table(lines: Iterable[Line]) -> list[str]:
    """Lines of Markdown."""
    rows = ["| day | measure | truth | measured | tolerance | |", "|---|---|---|---|---|---|"]
    for line in lines:
        true, measured = ("–" if value is None else f"{value:.6g}" for value in (line.true, line.measured))
        rows.append(
            f"| {line.day:%a %d %b} | {line.field} | {true} | {measured} | {line.tolerance:.3g} |"
            f" {'' if line.is_right else 'WRONG'} |"
        )
    return rows


if __name__ == "__main__":
    sys.exit(main())
