"""A running system for a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ops.whole_system import WholeSystem


@pytest.fixture
def run(tmp_path: Path) -> Iterator[WholeSystem]:
    run = WholeSystem(tmp_path / "var")
    yield run
    run.clean_up()
