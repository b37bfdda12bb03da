"""A sender that is killed at random moments: nothing is lost, and nothing is sent twice without need (NOTIF-45)."""

import pytest

from core.models import PushService
from tests.support.factories import Factory
from tests.support.killing import run_with_kills, service_of

SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 12))]


@pytest.mark.parametrize("service", list(PushService))
@pytest.mark.parametrize("seed", SEEDS)
def test_kills_at_random_moments_lose_nothing_and_repeat_only_what_was_not_known(
    factory: Factory, service: PushService, seed: int
):
    """NOTIF-45, CLAR-61: the lock is free at once, and the repeated ones have the same uuids."""
    with service_of(service) as stand_in:
        print(run_with_kills(factory, stand_in, seed).line())
