"""Many rows or values in one statement, sent as one array per column."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.database import Model

Rows = Sequence[Mapping[str, Any]]


def is_one_of(column: InstrumentedAttribute[Any], values: Iterable[Any]) -> sa.ColumnElement[bool]:
    """`column = ANY (values)`: like IN, but with a single parameter for all values."""
    return column == sa.any_(_array(column.type, list(values)))


def given_rows(model: type[Model], rows: Rows) -> sa.TableValuedAlias:
    """The rows as a table `given` with the model's column names and types. All rows must have the first row's keys."""
    columns = [model.__table__.c[name] for name in rows[0]]
    arrays = [_array(column.type, [row[column.name] for row in rows]) for column in columns]
    shape = [sa.column(column.name, column.type) for column in columns]
    return sa.func.unnest(*arrays).table_valued(*shape).render_derived(name="given")


def value_table(
    name: str, columns: Mapping[str, sa.types.TypeEngine[Any]], rows: Iterable[Sequence[Any]]
) -> sa.TableValuedAlias:
    """Rows of our own as a table of a statement, with columns that are of no model."""
    lists: list[list[Any]] = [list(values) for values in zip(*rows, strict=True)] or [[] for _ in columns]
    arrays = [_array(type_, values) for type_, values in zip(columns.values(), lists, strict=True)]
    shape: list[sa.ColumnClause[Any]] = [sa.column(column, type_) for column, type_ in columns.items()]
    return sa.func.unnest(*arrays).table_valued(*shape).render_derived(name=name)


def upsert(session: Session, model: type[Model], rows: Rows, *, conflict: str, replaced: Sequence[str]) -> None:
    """Inserts rows. On a conflict in the unique index over `conflict`, sets the `replaced` columns instead."""
    if rows:
        names = tuple(rows[0])
        statement = _upsert_statement(model, names, conflict, tuple(replaced))
        session.execute(statement, {name: [row[name] for row in rows] for name in names})


@cache
def _upsert_statement(
    model: type[Model], names: tuple[str, ...], conflict: str, replaced: tuple[str, ...]
) -> sa.TextClause:
    """The upsert as SQL text, because SQLAlchemy compiles ON CONFLICT anew on every call."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    types = [model.__table__.c[name].type.compile(dialect).partition(" COLLATE")[0] for name in names]
    arrays = [f"CAST(:{name} AS {item}[])" for name, item in zip(names, types, strict=True)]
    statement = [
        "INSERT INTO",
        model.__tablename__,
        "(",
        ", ".join(names),
        ") SELECT * FROM unnest(",
        ", ".join(arrays),
        ")",
        "ON CONFLICT",
        conflict,
        "DO UPDATE SET",
        ", ".join(f"{name} = EXCLUDED.{name}" for name in replaced),
    ]
    return sa.text(" ".join(statement))


def _array(item: sa.types.TypeEngine[Any], values: list[Any]) -> sa.Cast[Any]:
    return sa.cast(sa.bindparam(None, values, type_=ARRAY(item)), ARRAY(item))
