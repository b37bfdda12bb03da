"""`python -m tests.kill_report`: standing senders killed at random moments, one line for each run (NOTIF-45).

It starts a PostgreSQL of its own and stand-ins of both push services. Raises AssertionError where a phone was left out,
or got a message twice whose answer was known.
"""

import argparse
import logging

from core.models import PushService
from tests.benchmarks.serving import migrated
from tests.support.factories import Factory
from tests.support.killing import Killed, run_with_kills, service_of


def main() -> None:
    """Runs as many seeds as were asked for, for each service, and prints the sums."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seeds", type=int, default=12, help="how many runs of each service (12)")
    arguments.add_argument("--first", type=int, default=0, help="the first seed (0)")
    asked = arguments.parse_args()
    logging.disable(logging.INFO)
    runs: list[Killed] = []
    with migrated():
        for service in PushService:
            with service_of(service) as stand_in:
                for seed in range(asked.first, asked.first + asked.seeds):
                    runs.append(run_with_kills(Factory(), stand_in, seed))
                    print(runs[-1].line(), flush=True)
    kills, messages = sum(len(run.taken_at_kills) for run in runs), sum(run.phones for run in runs)
    unknown, repeated = sum(run.unknown for run in runs), sum(run.repeated for run in runs)
    print(
        f"{len(runs)} of {len(runs)} runs, {kills} kills, {messages} messages: none left out, none repeated whose"
        f" answer was known; {unknown} answers were unknown, {repeated} messages sent again, with the same uuids"
    )


if __name__ == "__main__":
    main()
