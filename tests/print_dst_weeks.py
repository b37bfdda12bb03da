"""`python -m tests.print_dst_weeks`: weeks with a change of clocks, as phones in six zones receive them (NOTIF-21).

It starts a PostgreSQL of its own and a stand-in of Firebase, and prints the tables of docs/notifications.md.
"""

import logging
from datetime import UTC, datetime

from tests.benchmarks.serving import migrated
from tests.support.dst_week import SUNDAYS, replayed
from tests.support.factories import Factory
from tests.support.fakes.google import running_google
from tests.support.pushing import Pushing


def main() -> None:
    """Replays each week and prints its table."""
    logging.disable(logging.INFO)
    with migrated(), running_google() as google:
        for sunday in SUNDAYS:
            pushing = Pushing(Factory(), google, datetime.combine(sunday, datetime.min.time(), UTC))
            print(replayed(pushing, sunday).table(), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
