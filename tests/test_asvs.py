"""docs/asvs.md has one row for each item of ASVS level 2, and names files and tests that exist (CLAR-23)."""

import re
from collections import Counter

from tests.requirement_ids import PROJECT

IDS = PROJECT / "tests" / "vectors" / "asvs_4_0_3_level_2.txt"
DOCUMENT = (PROJECT / "docs" / "asvs.md").read_text()
ROWS = re.findall(r"^\| (V[\d.]+) \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", DOCUMENT, re.MULTILINE)
STATUSES = ("met", "not applicable", "deviation")


def test_every_item_of_level_2_has_one_row_in_order():
    """CLAR-23."""
    assert [row[0] for row in ROWS] == IDS.read_text().split()


def test_each_row_has_one_of_three_statuses_and_a_deviation_its_reason():
    """CLAR-23."""
    for item, asks, status, ours, _ in ROWS:
        assert status in STATUSES and asks and ours, item
        assert (status == "deviation") == ("Reason: " in ours), item


def test_the_counts_at_the_top_are_those_of_the_rows():
    """CLAR-23."""
    counted = Counter(row[2] for row in ROWS)
    told = dict(re.findall(r"^\| ([a-z ]+) \| (\d+) \|$", DOCUMENT, re.MULTILINE))
    assert {name: int(number) for name, number in told.items()} == dict(counted) | {"all": len(ROWS)}


def test_every_file_and_test_that_a_row_names_is_there():
    """CLAR-23: a row without its test would claim what nobody shows."""
    for item, _, _, ours, shown in ROWS:
        for path in re.findall(r"`([\w.-]+(?:/[\w.-]+)+|[\w-]+\.(?:py|md|txt|json))`", ours):
            assert (PROJECT / path).exists(), f"{item}: {path}"
        for name in re.findall(r"`([^`]+)`", shown):
            path, _, test = name.partition("::")
            assert f"def {test or 'test_'}" in (PROJECT / "tests" / path).read_text(), f"{item}: {name}"
