"""The picture beside the sign-in form."""

import random


def invented_coverage(rows: int = 18, columns: int = 20) -> list[list[str]]:
    """Made-up coverage for the sign-in page, always the same: rows of cells `1` to `5`, `gap` or `off`."""
    chance = random.Random(11)
    pattern = []
    for _ in range(rows):
        typical, start = chance.choice([3, 4, 4, 5, 5, 5]), chance.choice([0] * 5 + [columns // 2, columns])
        gap, length = chance.randrange(2, columns * 2), chance.choice([1, 1, 2, 4])
        row = []
        for column in range(columns):
            level = str(min(5, max(1, typical + chance.choice([-1, 0, 0, 0, 1]))))
            row.append("off" if column < start else "gap" if gap <= column < gap + length else level)
        pattern.append(row)
    return pattern
