"""Thousands due at once, dead tokens among them, and a service that fails in the middle (NOTIF-41, NOTIF-42)."""

from datetime import UTC, datetime

import pytest
from flask import Flask

from tests.support.fakes.google import FakeGoogle
from tests.support.many_phones import (
    Figures,
    LocalGoogle,
    all_accepted,
    half_then_down,
    store_account,
    with_dead_tokens,
)

COUNTS = [600, pytest.param(10_000, marks=pytest.mark.long)]
FIXED = 60
"""Statements of a few looks that do not depend on how many messages there are."""


@pytest.fixture
def google(app: Flask, firebase: FakeGoogle) -> LocalGoogle:
    store_account(firebase.service_account)
    return LocalGoogle(firebase)


def few(figures: Figures) -> None:
    """NOTIF-45: under a tenth of a statement for each message."""
    assert figures.statements < 0.1 * figures.messages + FIXED, figures
    print(f"{figures.messages} in {figures.seconds:.1f} s, {figures.statements_a_message:.3f} statements each")


@pytest.mark.parametrize("count", COUNTS)
def test_many_at_once_come_once_each(google: LocalGoogle, count: int):
    """NOTIF-45."""
    few(all_accepted(google, datetime.now(UTC), count))


@pytest.mark.parametrize("count", COUNTS)
def test_three_of_ten_tokens_are_dead(google: LocalGoogle, count: int):
    """NOTIF-41: less than half of a run, so they are retired; their events wait."""
    few(with_dead_tokens(google, datetime.now(UTC), count))


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("as_date", [False, True], ids=["seconds", "date"])
def test_a_service_that_takes_half_and_fails_gets_the_rest_when_it_has_asked_for_it(
    google: LocalGoogle, count: int, as_date: bool
):
    """NOTIF-42, NOTIF-43: Retry-After is obeyed, and nothing comes twice."""
    few(half_then_down(google, datetime.now(UTC), count, as_date=as_date))
