"""Which days a table shows, and how cells are coloured and flagged (PORTAL-222 to PORTAL-224)."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.quantities.days import BadDay, Days, parse_day, shown_days
from core.quantities.marking import (
    BadMarking,
    Flag,
    Marking,
    Operator,
    flags_of_pairs,
    flags_text,
    parse_flag_list,
    parse_flags,
    parse_gradient,
)

FIRST, LAST = date(2024, 3, 1), date(2024, 3, 20)


def of(month: int, day: int) -> date:
    return date(2024, month, day)


@pytest.mark.parametrize(
    ("start", "end", "shown"),
    [
        (None, None, (of(3, 14), of(3, 20))),
        (None, of(3, 5), (of(3, 14), of(3, 20))),
        (of(3, 3), None, (of(3, 3), of(3, 9))),
        (of(3, 18), None, (of(3, 18), of(3, 20))),
        (of(3, 3), of(3, 4), (of(3, 3), of(3, 4))),
        (of(3, 4), of(3, 3), (of(3, 3), of(3, 4))),
        (of(2, 1), of(3, 4), (of(3, 1), of(3, 4))),
        (of(3, 18), of(4, 4), (of(3, 18), of(3, 20))),
        (of(1, 1), of(12, 31), (FIRST, LAST)),
        (of(1, 1), of(1, 5), (FIRST, FIRST)),
        (of(5, 1), of(5, 5), (LAST, LAST)),
        (of(5, 1), None, (LAST, LAST)),
    ],
)
def test_days_are_those_that_were_asked_for_and_exist(start: date | None, end: date | None, shown: tuple[date, date]):
    """PORTAL-222."""
    days = shown_days(FIRST, LAST, start, end)
    assert (days.start, days.end) == shown


def test_a_week_is_shorter_where_there_are_fewer_days():
    assert shown_days(FIRST, of(3, 3), None, None).all == [of(3, 1), of(3, 2), of(3, 3)]


@pytest.mark.parametrize("text", ["yesterday", "2024-13-01", "20240301", "2024-3-1", "2024-W10-1"])
def test_a_day_that_cannot_be_read_is_refused(text: str):
    with pytest.raises(BadDay):
        parse_day(text)
    assert parse_day(" ") is None
    assert parse_day("2024-03-01") == FIRST


@given(
    st.dates(date(2014, 8, 1), date(2030, 1, 1)),
    st.integers(0, 2_000),
    st.none() | st.dates(date(2010, 1, 1), date(2032, 1, 1)),
    st.none() | st.dates(date(2010, 1, 1), date(2032, 1, 1)),
)
def test_every_range_is_within_the_days_with_data(first: date, length: int, start: date | None, end: date | None):
    """PORTAL-222, PORTAL-223: never empty, never overlong; before and next keep the length and stay within."""
    last = first + timedelta(days=length)
    days = shown_days(first, last, start, end)
    assert first <= days.start <= days.end <= last
    assert days.count <= 366
    assert (days.previous is None) == (days.start == first)
    assert (days.next is None) == (days.end == last)
    for moved in filter(None, (days.previous, days.next)):
        assert first <= moved[0] <= moved[1] <= last
        assert Days(first, last, *moved).count == days.count


def test_colours_go_from_low_to_high():
    """PORTAL-224: not below 0; both 0 are the page's smallest and largest value."""
    own = Marking(True, 100, 200)
    assert [own.level(value, 0, 0) for value in (None, 50, 100, 101, 150, 200, 900)] == [0, 0, 1, 1, 3, 5, 5]
    page = Marking(True)
    assert [page.level(value, 10, 20) for value in (10, 15, 20)] == [1, 3, 5]
    assert [page.level(value, 7, 7) for value in (0, 7)] == [1, 5]
    assert Marking(False, 100, 200).level(150, 0, 0) == 0


def test_flags_outline_cells_that_satisfy_any():
    marking = Marking(flags=parse_flags(">,1000*=,5*<,1"))
    assert [marking.is_flagged(value) for value in (None, 0, 1, 5, 1000, 1001)] == [
        True,
        True,
        False,
        True,
        False,
        True,
    ]
    assert parse_flags(flags_text(marking.flags)) == marking.flags
    assert parse_flag_list('[["<", 5], [">", "1.5"]]') == (Flag(Operator.LESS, 5), Flag(Operator.MORE, 1.5))
    assert parse_flags("") == parse_flag_list("") == ()
    for number in ("0.00001", "-3.5", "9000000000000", "999999999999999999", "0"):
        (flag,) = parse_flags(f">,{number}")
        assert parse_flags(flags_text([flag])) == flags_of_pairs([[">", flag.number]]) == (flag,)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: parse_flags("!,5"),
        lambda: parse_flags(">,x"),
        lambda: parse_flags(">,5*>,5"),
        lambda: parse_flags("*".join(f">,{n}" for n in range(11))),
        lambda: parse_flag_list("{"),
        lambda: parse_flag_list('["<5"]'),
        lambda: parse_flag_list("[" * 5_000),
        lambda: parse_gradient("5", "5"),
        lambda: parse_gradient("9", "5"),
        lambda: parse_gradient("a", "5"),
        lambda: parse_gradient("NaN", "5"),
    ],
)
def test_what_is_no_marking_is_refused(wrong: object):
    assert callable(wrong)
    with pytest.raises(BadMarking):
        wrong()
