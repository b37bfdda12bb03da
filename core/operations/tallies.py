"""Totals of work done by all processes, in one small table that `/metrics` reads (OPS-32)."""

import logging
from collections.abc import Mapping
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from core.models import Tally

log = logging.getLogger(__name__)


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
    INTEGRITY_FAILURES = "integrity_failures"
    """By `Integrity`."""
    SIGN_INS = "sign_ins"
    """By outcome, a value of `SignInOutcome`."""


class Integrity(StrEnum):
    """Kinds of objects that are missing in the store or cannot be opened; counted at each encounter."""

    RAW_MISSING = "raw missing"
    RAW_DAMAGED = "raw damaged"
    CHUNK = "chunk"
    """A chunk met in processing that is damaged, or missing although the registry has it."""
    DOWNLOAD = "download"
    """A file of a download, of any kind."""
    PHONE = "phone"
    """An object that a phone's request needs: the participant's key, or an earlier upload."""


Numbers = Mapping[Counted, Mapping[str, int]]
"""Numbers to add, by name and label. A label is never a person's id."""

_ADD = sa.text(
    "INSERT INTO tallies (name, label, total) "
    "SELECT * FROM unnest(CAST(:names AS text[]), CAST(:labels AS text[]), CAST(:totals AS bigint[])) "
    "ON CONFLICT (name, label) DO UPDATE SET total = tallies.total + EXCLUDED.total"
)


def add_tallies(session: Session, numbers: Numbers) -> None:
    """Adds to the totals in one statement. The caller must commit soon: the rows stay locked until then.

    Rows are locked in a fixed order, so that two processes cannot deadlock.
    """
    counted = sorted(
        (name.value, label, number)
        for name, by_label in numbers.items()
        for label, number in by_label.items()
        if number
    )
    if counted:
        names, labels, totals = zip(*counted, strict=True)
        session.execute(_ADD, {"names": list(names), "labels": list(labels), "totals": list(totals)})


def add_tallies_at_once(engine: sa.Engine, numbers: Numbers) -> None:
    """Adds to the totals in a separate transaction. Never raises: if that fails, the counts are lost and logged.

    For counts in the middle of other work that must continue.
    """
    try:
        with Session(engine) as session:
            add_tallies(session, numbers)
            session.commit()
    except SQLAlchemyError as error:
        log.warning("counts of %s are lost: %s", ", ".join(numbers), type(error).__name__)


def all_tallies(session: Session) -> dict[tuple[str, str], int]:
    """Every total by name and label; a few dozen rows."""
    rows = session.execute(sa.select(Tally.name, Tally.label, Tally.total))
    return {(row.name, row.label): row.total for row in rows}
