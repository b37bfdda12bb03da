"""The document of requirements is whole and true, and so is what it says of tests."""

from tests.requirement_ids import cell_of, named_in_code, rows, shown_by


def test_every_requirement_that_is_named_has_its_line_and_a_test_that_shows_it():
    """Rerun `python -m tests.requirement_ids` and write what ours does."""
    shown, documented = shown_by(), rows()
    named = named_in_code() | set(shown)
    assert named == set(documented)
    assert sorted(named - set(shown)) == []
    assert [requirement for requirement, (what, _) in documented.items() if not what] == []
    assert {r: tests for r, (_, tests) in documented.items()} == {r: cell_of(shown[r]) for r in documented}
