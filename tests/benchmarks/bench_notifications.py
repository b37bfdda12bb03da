"""Push notifications: `python -m tests.benchmarks.bench_notifications`.

Prints a JSON line each for finding 3,000 due events among 75,000 and among 1,000,000, and for 10,000 messages due at
once, sent to a stand-in of Firebase in a process of its own: all taken, three of ten tokens dead, half taken and then
503 with a Retry-After in seconds and as a date. The lines of messages have seconds until all are settled, statements of
the database for each message, and the growth of memory in MB. Raises where they take more than they may, or a message
comes twice.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import sqlalchemy as sa

from core.database import db
from core.models import ScheduledEvent
from core.notifications.sending import look_at_due
from tests.benchmarks.measure import best_seconds, growth_mb, report
from tests.benchmarks.serving import migrated
from tests.support.many_phones import (
    Figures,
    Google,
    all_accepted,
    clear,
    fill,
    half_then_down,
    remote_google,
    with_dead_tokens,
)

MESSAGES = 10_000
DUE = 3_000
MOST_SECONDS = 60.0
MOST_STATEMENTS = 0.1
MOST_GROWTH_MB = 60.0
MOST_FINDING = {75_000: 1.0, 1_000_000: 1.0}
Scenario = Callable[[Google, datetime, int], Figures]
SCENARIOS: dict[str, Scenario] = {
    "notifications_sent": all_accepted,
    "notifications_dead_tokens": with_dead_tokens,
    "notifications_half_then_503_seconds": partial(half_then_down, as_date=False),
    "notifications_half_then_503_date": partial(half_then_down, as_date=True),
}


def main() -> None:
    """Runs the benchmark."""
    logging.disable(logging.INFO)
    with migrated(), remote_google() as google:
        for total, most in MOST_FINDING.items():
            find(total, most, datetime.now(UTC))
        for name, scenario in SCENARIOS.items():
            send(name, scenario, google)


def send(name: str, scenario: Scenario, google: Google) -> None:
    """Sends to 10,000 phones at once."""
    clear(google)
    found: list[Figures] = []
    grown = growth_mb(lambda: found.append(scenario(google, datetime.now(UTC), MESSAGES)))
    figures = found[0]
    report(
        name,
        messages=MESSAGES,
        seconds=round(figures.seconds, 1),
        a_second=round(MESSAGES / figures.seconds),
        statements_a_message=round(figures.statements_a_message, 3),
        growth_mb=round(grown, 1),
    )
    assert figures.seconds < MOST_SECONDS and figures.statements_a_message < MOST_STATEMENTS, figures
    assert grown < MOST_GROWTH_MB, grown


def find(total: int, most_seconds: float, now: datetime) -> None:
    """Finds 3,000 due events among so many."""
    fill(total, DUE, now)

    def look() -> None:
        assert len(look_at_due(db.session(), now).messages) == DUE
        db.session.rollback()

    seconds = best_seconds(look, 5)
    db.session.execute(sa.delete(ScheduledEvent))

    def idle() -> None:
        look_at_due(db.session(), now - timedelta(days=2))
        db.session.rollback()

    report("notifications_due", events=total, due=DUE, seconds=round(seconds, 3), idle=round(best_seconds(idle, 3), 4))
    db.session.rollback()
    clear()
    assert seconds < most_seconds, seconds


if __name__ == "__main__":
    main()
