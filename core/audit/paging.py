"""Pages of long lists in the order of (time, id), the newest first, without OFFSET.

A page begins before or after a row that is named by its id, so that its address stays right while rows are added.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

Row = TypeVar("Row")
PER_PAGE = 50
# For this transaction the planner compares rows, not pages on disk. Else it prefers the index of all times, whose rows
# lie side by side, and reads the whole table when no row has the asked-for combination of columns.
_COUNT_ROWS = sa.text("SELECT set_config('seq_page_cost', '0', true), set_config('random_page_cost', '0', true)")
ROWS_AT_ONCE = 2_000


@dataclass(frozen=True)
class Place:
    """Where a page begins: behind the row `before`, or in front of the row `after`; by neither, at the newest row."""

    before: int | None = None
    after: int | None = None


NEWEST = Place()


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Rows, the newest first, and the ids from which the neighbouring pages begin; None where there is none."""

    rows: Sequence[Row]
    newer: int | None
    older: int | None


@dataclass(frozen=True)
class Listed:
    """The columns of time and id by which a table is listed."""

    at: InstrumentedAttribute[Any]
    id: InstrumentedAttribute[int]

    @property
    def newest_first(self) -> tuple[sa.UnaryExpression[Any], ...]:
        return self.at.desc(), self.id.desc()

    @property
    def oldest_first(self) -> tuple[sa.UnaryExpression[Any], ...]:
        return self.at.asc(), self.id.asc()

    def place_of(self, row_id: int) -> sa.ScalarSelect[Any]:
        """Time and id of that row, to compare with; no row compares with an id that does not exist."""
        return sa.select(self.at, self.id).where(self.id == row_id).scalar_subquery()

    @property
    def key(self) -> sa.Tuple:
        return sa.tuple_(self.at, self.id)


def page_of(
    session: Session, query: sa.Select[Any], listed: Listed, place: Place = NEWEST, per_page: int = PER_PAGE
) -> Page[Any]:
    """One page of what the query selects; its rows have an attribute `id`.

    `query` selects entities or columns, and brings its own conditions.
    """
    session.execute(_COUNT_ROWS)
    if place.after is not None:
        newer = query.where(listed.key > listed.place_of(place.after)).order_by(*listed.oldest_first)
        rows = _rows(session, newer.limit(per_page + 1))
        has_newer, rows = len(rows) > per_page, rows[:per_page][::-1]
        has_older = True
    else:
        if place.before is not None:
            query = query.where(listed.key < listed.place_of(place.before))
        rows = _rows(session, query.order_by(*listed.newest_first).limit(per_page + 1))
        has_older, rows = len(rows) > per_page, rows[:per_page]
        has_newer = place.before is not None
    return Page(
        rows,
        newer=rows[0].id if rows and has_newer else None,
        older=rows[-1].id if rows and has_older else None,
    )


def all_of(session: Session, query: sa.Select[Any], listed: Listed) -> Iterator[Any]:
    """Everything the query selects, by descending id, some thousand rows at a time; no transaction stays open.

    One pass over the primary key, whatever the conditions: a file may hold all rows.
    """
    last: int | None = None
    while True:
        part = query if last is None else query.where(listed.id < last)
        rows = _rows(session, part.order_by(listed.id.desc()).limit(ROWS_AT_ONCE))
        session.expunge_all()
        session.rollback()
        yield from rows
        if len(rows) < ROWS_AT_ONCE:
            return
        last = rows[-1].id


def distinct_values(
    session: Session, column: InstrumentedAttribute[Any], *conditions: sa.ColumnElement[bool]
) -> list[str]:
    """The values of a column that rows with these conditions have, sorted.

    Skips from value to value through an index that begins with the conditions' columns and this column, so it costs a
    few index look-ups for each value, whatever the number of rows (https://wiki.postgresql.org/wiki/Loose_indexscan).
    """
    first = sa.select(column.label("value")).where(*conditions, column.is_not(None)).order_by(column).limit(1)
    steps = first.cte("steps", recursive=True)
    following = sa.select(column).where(*conditions, column > steps.c.value).order_by(column).limit(1).scalar_subquery()
    steps = steps.union_all(sa.select(following).where(steps.c.value.is_not(None)))
    return list(session.scalars(sa.select(steps.c.value).where(steps.c.value.is_not(None))))


def _rows(session: Session, query: sa.Select[Any]) -> list[Any]:
    """Entities where the query selects one alone, else rows."""
    is_entity = len(query.column_descriptions) == 1
    return list(session.scalars(query) if is_entity else session.execute(query))
