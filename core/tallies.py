"""Totals of work done by whatever process, in one small table; `/metrics` reads them (OPS-32)."""

from collections.abc import Mapping
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import Tally


class Counted(StrEnum):
    """What is counted, each with the meaning of its labels."""

    CHUNKS_WRITTEN = "chunks_written"
    """No label."""
    FILES_PROCESSED = "files_processed"
    """No label."""
    ROWS_DROPPED = "rows_dropped"
    """By reason."""
    FLOW_RUNS = "flow_runs"
    """By `flow/state`."""
    NOTIFICATIONS = "notifications"
    """By outcome."""


_ADD = sa.text(
    "INSERT INTO tallies (name, label, total) SELECT :name, * FROM unnest(CAST(:labels AS text[]), "
    "CAST(:totals AS bigint[])) ON CONFLICT (name, label) DO UPDATE SET total = tallies.total + EXCLUDED.total"
)


def add_tallies(session: Session, name: Counted, numbers: Mapping[str, int]) -> None:
    """Adds to the totals of these labels, in one statement; the caller commits, soon, since others wait for the rows.

    Labels are taken in order, so that two who add at once never wait for each other in a circle. Never a person's id.
    """
    counted = [(label, number) for label, number in sorted(numbers.items()) if number]
    if counted:
        labels, totals = zip(*counted, strict=True)
        session.execute(_ADD, {"name": name.value, "labels": list(labels), "totals": list(totals)})


def all_tallies(session: Session) -> dict[tuple[str, str], int]:
    """Every total by name and label; a few dozen rows."""
    rows = session.execute(sa.select(Tally.name, Tally.label, Tally.total))
    return {(row.name, row.label): row.total for row in rows}
