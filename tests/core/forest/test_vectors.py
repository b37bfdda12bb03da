"""The copy of Forest's golden case is the one that the specification's authors keep."""

import pytest

from tests.support.paths import REPOSITORY, VECTORS

SHARED = REPOSITORY.parent / "shared" / "vectors" / "forest"


def test_the_copied_case_is_the_original() -> None:
    if not SHARED.is_dir():
        pytest.skip("the specification is not beside this checkout")
    ours, theirs = (
        {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (VECTORS / "forest", SHARED)
    )
    assert ours == theirs
