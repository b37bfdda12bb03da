"""One temporary Prefect server for all flow tests: starting one takes ten seconds."""

from collections.abc import Iterator

import pytest
from prefect.testing.utilities import prefect_test_harness


@pytest.fixture(scope="session")
def prefect() -> Iterator[None]:
    """A Prefect server of the tests' own, real and empty at first."""
    with prefect_test_harness(server_startup_timeout=60):
        yield
