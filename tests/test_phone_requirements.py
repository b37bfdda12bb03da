"""Each requirement of the phone API has a test that shows it."""

import re

import pytest

from tests.requirement_ids import PROJECT, shown_by

# Of the specification, whose numbers leave gaps.
RANGES = ((1, 18), (20, 72), (80, 85), (90, 93), (95, 101), (104, 116), (120, 127), (130, 131))
IDS = {f"PHONE-{number}" for first, last in RANGES for number in range(first, last + 1)}
SPECIFICATION = PROJECT.parent / "shared" / "spec" / "phone-api.md"


def test_every_requirement_of_the_phone_api_has_a_test():
    """A test's docstring names what it shows."""
    assert shown_by().keys() >= IDS


@pytest.mark.skipif(not SPECIFICATION.exists(), reason="the specification lies beside the project where it is written")
def test_the_requirements_are_those_of_the_specification():
    assert set(re.findall(r"\*\*(PHONE-\d+)\*\*", SPECIFICATION.read_text())) == IDS
