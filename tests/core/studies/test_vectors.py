"""The copies of the golden settings files are those that the specification's authors keep."""

import pytest

from tests.support.paths import REPOSITORY, VECTORS

SHARED = REPOSITORY.parent / "shared" / "vectors" / "surveys"


def test_the_copied_settings_files_are_the_originals():
    if not SHARED.is_dir():
        pytest.skip("the specification is not beside this checkout")
    ours = {path.name: path.read_bytes() for path in (VECTORS / "surveys").iterdir()}
    assert ours == {path.name: path.read_bytes() for path in SHARED.iterdir()}
