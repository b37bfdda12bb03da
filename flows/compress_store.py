"""Compresses and re-encrypts objects of the existing platform, key range by key range (STORE-2, STORE-4)."""

import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from prefect import State, flow, task
from prefect.artifacts import create_table_artifact
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from prefect.tasks import exponential_backoff

from core.config import get_settings
from core.database import get_engine
from core.storage.resealing import TROUBLES, Outcome, Resealed, prefixes_of, reseal
from flows.hooks import HOOKS
from flows.infrastructure import get_store, is_infrastructure_error
from flows.progress import Progress
from flows.sweeping import expected_objects, folder_of

PAGE_KEYS = 2_000
MOST_SECONDS = 4 * 3600
MOST_LISTED = 100


@dataclass(frozen=True)
class ResealedRange:
    """Result of one task: keys by outcome, keys that failed, and the last key (None when none were left)."""

    outcomes: Counter[Outcome]
    troubles: list[Resealed]
    last: str | None


@task(
    name="compress keys",
    task_run_name="keys after {after}",
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=is_infrastructure_error,
)
def compress_range(prefix: str, after: str, dry_run: bool) -> ResealedRange:
    """Compresses and re-encrypts the next 2,000 keys after a key."""
    objects = reseal(get_engine(), get_store(), get_settings(), prefix, after, is_dry_run=dry_run)
    done = list(islice(objects, PAGE_KEYS))
    troubles = [one for one in done if one.outcome in TROUBLES]
    return ResealedRange(Counter(one.outcome for one in done), troubles, done[-1].key if done else None)


@flow(
    name="compress-store",
    flow_run_name=lambda: (
        f"compress store study={flow_run.parameters['study_id'] or 'all'} {datetime.now(UTC):%Y-%m-%d}"
    ),
    timeout_seconds=MOST_SECONDS + 3600,
    **HOOKS,
)
def compress_store(study_id: str | None = None, after: str = "", dry_run: bool = False) -> State:
    """Works on one study (by its 24-character id) or all, starting after the key `after`.

    Stops after four hours and reports the key to resume from. The run fails if an object cannot be decrypted.
    """
    prefixes = prefixes_of(study_id) if folder_of(study_id) and study_id else [""]
    progress = Progress("compressed-objects", expected_objects(*prefixes))
    outcomes: Counter[Outcome] = Counter()
    listed: list[Resealed] = []
    end = time.monotonic() + MOST_SECONDS
    while prefixes and time.monotonic() < end:
        part = compress_range(prefixes[0], after, dry_run)
        outcomes += part.outcomes
        listed += part.troubles[: MOST_LISTED - len(listed)]
        if part.last is None:
            prefixes.pop(0)
        after = part.last or after
        progress.move(part.outcomes.total(), f"{outcomes.total():,} looked at, now at {after}")
    progress.end(f"{outcomes.total():,} looked at")
    go_on = f"Not finished: go on after {after}" if prefixes else "The whole range was looked at."
    show(outcomes, listed, go_on)
    if broken := outcomes[Outcome.BROKEN]:
        return Failed(message=f"{broken} objects do not open. {go_on}")
    return Completed(message=f"{outcomes[Outcome.RESEALED]} objects were sealed anew. {go_on}")


def show(outcomes: Counter[Outcome], listed: list[Resealed], go_on: str) -> None:
    """Writes the run's artifacts: counts, and the first 100 objects that need attention or another run (OPS-21)."""
    create_table_artifact(
        key="compressed-store",
        table=[{"what": outcome.value, "objects": outcomes[outcome]} for outcome in Outcome],
        description=go_on,
    )
    if listed:
        create_table_artifact(
            key="compressed-store-troubles",
            table=[{"path": one.key, "what": one.outcome.value, "reason": one.reason} for one in listed],
            description="The first 100 objects that need a look or another run.",
        )
