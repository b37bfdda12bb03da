"""The page of a participant's own answers in a real browser, as the Android app opens it."""

import json
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, Route, expect

from core.models import Participant
from tests.support.factories import Factory, phone_fields
from tests.webapp.phone.test_graph import DAY, START, leaves, row

LONG = "How much did the pain in your back keep you from what you wanted to do since the last time that you were asked?"


@pytest.fixture
def participant(factory: Factory) -> Participant:
    """A participant of two surveys, with gaps, a long question and a survey without numbers."""
    participant = factory.participant(factory.study("Mood and movement"))
    daily = factory.survey(participant.study, name="Evening questions")
    weekly = factory.survey(participant.study, name="Weekly check-in")
    diary = factory.survey(participant.study, name="Diary")
    moods, steps = ["3", "4", "2", "5", "skipped", "7", "6"], ["4200", "8120", "", "12050", "3980", "9001", "7640"]
    for day, (mood, step) in enumerate(zip(moods, steps, strict=True)):
        leaves(
            participant,
            daily,
            START + day * DAY,
            row(mood, "How was your mood today?"),
            row(step, "Steps as your watch shows them", "Text-field input type = NUMERIC", "q2"),
            row(str(day * 15), LONG, "min = 0; max = 100", "q3"),
            row("Slept badly", "Anything else?", "Text-field input type = MULTI_LINE_TEXT", "q4"),
        )
    leaves(participant, weekly, START + 2 * DAY, row("6", "Energy this week"))
    leaves(participant, diary, START + DAY, row("words", "What happened?", ""))
    return participant


def open_as_the_app_does(page: Page, server: str, participant: Participant) -> list[str]:
    """Posts the credentials, as a web view does; gives what the console says, which fills as it says it."""
    said: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    body = urlencode(phone_fields(participant))

    def post(route: Route) -> None:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        route.continue_(method="POST", post_data=body, headers={**route.request.headers, **headers})

    page.route("**/graph", post)
    page.goto(f"{server}/graph")
    return said


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 375, 1024])
def test_answers_are_readable_on_any_screen(page: Page, server: str, participant: Participant, width: int, scheme: str):
    """PHONE-62: no scrolling sideways, nothing that the content policy refuses, no cookie."""
    page.set_viewport_size({"width": width, "height": 740})
    page.emulate_media(color_scheme=scheme)
    said = open_as_the_app_does(page, server, participant)
    expect(page).to_have_title("Rendered graph for user")
    expect(page.get_by_role("img", name="How was your mood today?")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    page.get_by_text("As a table").first.click()
    expect(page.get_by_role("table", name="How was your mood today?").get_by_role("row")).to_have_count(8)
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    channels = json.loads(f"[{background.removeprefix('rgb(').removesuffix(')')}]")
    assert (sum(channels) > 3 * 128) == (scheme == "light")
    smallest = page.evaluate(
        "Math.min(...[...document.querySelectorAll('svg text')].map(t => t.getBoundingClientRect().height))"
    )
    assert smallest >= 9, "pixels: small, but no smaller"
    assert page.context.cookies() == []
    assert said == []
