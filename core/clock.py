"""Checks this machine's clock against the database's, which all machines share.

A worker whose clock is years behind drops every row as one from the future; one whose clock is ahead prunes and purges
too early. Code that drops or deletes data by the current time calls this first.
"""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

MOST_APART = timedelta(minutes=10)


class ClockLooksWrong(Exception):
    """This machine's clock and the database's differ too much; nothing was done. The message gives both times."""


def check_clock(connection: sa.Connection | Session) -> None:
    """Raises ClockLooksWrong where the two clocks are more than ten minutes apart. One query, no table."""
    theirs: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    ours = datetime.now(UTC)
    if abs(ours - theirs) > MOST_APART:
        said = f"{ours:%Y-%m-%d %H:%M} UTC, the database's {theirs.astimezone(UTC):%Y-%m-%d %H:%M}"
        raise ClockLooksWrong(f"this machine's clock says {said}; set the one that is wrong")
