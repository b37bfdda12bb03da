"""docs/security.md names tests that exist."""

import re

from tests.requirement_ids import PROJECT


def test_the_tests_that_the_document_names_are_there():
    """A row without its test would claim what nobody shows."""
    rows = re.findall(r"^\| (\d+) \| .* \| (.*) \|$", (PROJECT / "docs" / "security.md").read_text(), re.MULTILINE)
    assert [int(number) for number, _ in rows] == [*range(1, 14), *range(20, 37)]
    for number, cell in rows:
        file = ""
        for name in re.findall(r"`([^`]+)`", cell):
            path, _, test = name.partition("::")
            file = path or file
            source = (PROJECT / "tests" / file).read_text()
            assert f"def {test or 'test_'}" in source, f"row {number}: {name}"


def test_the_tests_of_the_second_list_are_there():
    """Faults that an attacker's look found."""
    text = (PROJECT / "docs" / "security.md").read_text().partition("## Faults that an attacker's look found")[2]
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", text)
    assert len(named) == 9
    for path, test in named:
        assert f"def {test}" in (PROJECT / "tests" / path).read_text(), test
