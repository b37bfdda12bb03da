"""The geometry of charts, and words for figures."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from core.answers.over_time import Point
from core.answers.rates import Counts, DayRow
from webapp.portal.answers.charts import HEIGHT, MOST_BINS, WIDTH, bins_of, line_through, outcome_columns
from webapp.portal.answers.wording import length, percent, plain

COUNTS = st.builds(Counts, *(st.integers(0, 500) for _ in range(4)))
NUMBERS = st.dictionaries(
    st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3)), st.integers(1, 99), min_size=1, max_size=60
)


@given(st.lists(COUNTS, min_size=1, max_size=40))
def test_columns_stay_inside_and_are_as_high_as_their_counts(counts: list[Counts]):
    rows = [DayRow(date(2026, 1, 1) + timedelta(days=n), each) for n, each in enumerate(counts)]
    chart = outcome_columns(rows)
    for column in chart.columns:
        assert column.x >= 0 and column.x + column.width <= WIDTH + 0.1
        assert all(part.y >= -0.1 and part.y + part.height <= HEIGHT + 0.1 for part in column.parts)
        height = sum(part.height for part in column.parts)
        assert abs(height - HEIGHT * column.row.counts.counted / chart.most) < 0.1


@given(NUMBERS)
def test_bins_lose_no_number(numbers: dict[float, int]):
    ordered = sorted(numbers.items())
    bins = bins_of(ordered)
    assert sum(each.count for each in bins) == sum(numbers.values())
    assert len(bins) <= MOST_BINS + 1
    assert bins[0].least <= ordered[0][0] and bins[-1].most >= ordered[-1][0]


@given(st.lists(st.floats(-1e9, 1e9, allow_nan=False), min_size=1, max_size=50))
def test_lines_stay_inside(values: list[float]):
    began = datetime(2026, 1, 1, tzinfo=UTC)
    line = line_through([Point(n, began + timedelta(hours=n), value) for n, value in enumerate(values)])
    numbers = [tuple(map(float, pair.split())) for pair in line.path.removeprefix("M").split("L")]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in numbers)


def test_figures_in_words():
    assert [percent(share) for share in (None, 0, 0.001, 0.5, 0.999, 1)] == [
        "–",
        "0 %",
        "< 1 %",
        "50 %",
        "> 99 %",
        "100 %",
    ]
    assert [length(of) for of in (None, 0, 59, 60, 125, 1440, 3000)] == [
        "–",
        "0 min",
        "59 min",
        "1 h",
        "2 h 5 min",
        "1 day",
        "2 days 2 h",
    ]
    assert [plain(of) for of in (None, 3.0, 2.5, 1 / 3)] == ["–", "3", "2.5", "0.333"]
