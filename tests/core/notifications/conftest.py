"""A site that pushes, with Firebase's stand-in on loopback."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.support.factories import Factory
from tests.support.fakes.google import FakeGoogle, running_google
from tests.support.pushing import Pushing

NOON = datetime(2024, 6, 5, 16, tzinfo=UTC)  # a Wednesday, 12:00 in New York


@pytest.fixture
def firebase() -> Iterator[FakeGoogle]:
    with running_google() as fake:
        yield fake


@pytest.fixture
def pushing(factory: Factory, firebase: FakeGoogle) -> Pushing:
    return Pushing(factory, firebase, NOON)
