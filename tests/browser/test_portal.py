"""A researcher's work in a real browser, and how pages look on small and large screens."""

import re
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from playwright.sync_api import BrowserContext, expect

from core.database import db
from core.models import Chunk, Study, UploadRecord
from core.streams import SPECS, DataStream
from tests.browser.navigator import AddingPage, ParticipantPage, ParticipantsPage, Portal
from tests.support.factories import Factory

GPS = SPECS[DataStream.GPS].number


@pytest.fixture
def study(factory: Factory) -> Study:
    """One of two of the researcher `mlopez`; 120 participants a minute apart, `xaaaaaab` (1) to `xaaaabca` (120)."""
    study = factory.study("Mood and movement")
    researcher = factory.researcher("mlopez", study=study)
    db.session.execute(
        sa.text(
            "INSERT INTO participants (patient_id, study_id, password_hash, device_id, os_type, created_at)"
            " SELECT 'x' || translate(lpad(n::text, 7, '0'), '0123456789', 'abcdefghij'), :study, '',"
            " CASE WHEN n > 60 THEN 'd' ELSE '' END, CASE WHEN n > 60 THEN 'IOS' END, now() - n * interval '1 min'"
            " FROM generate_series(1, 120) n"
        ),
        {"study": study.id},
    )
    db.session.execute(sa.text("INSERT INTO participant_activity (participant_id) SELECT id FROM participants"))
    second = factory.study("Sleep")
    db.session.execute(
        sa.text("INSERT INTO study_roles VALUES (:study, :researcher, 'study_researcher')"),
        {"study": second.id, "researcher": researcher.id},
    )
    db.session.commit()
    return study


def arrives(study: Study, patient_id: str, *, is_processed: bool) -> None:
    """An upload of GPS from that participant, with its chunk when it is processed."""
    now = datetime.now(UTC)
    participant = db.session.scalar(sa.text("SELECT id FROM participants WHERE patient_id = :id"), {"id": patient_id})
    db.session.execute(sa.text("UPDATE participants SET device_id = 'd' WHERE id = :id"), {"id": participant})
    db.session.execute(
        sa.text("UPDATE participant_activity SET last_upload_at = :now WHERE participant_id = :id"),
        {"now": now, "id": participant},
    )
    db.session.add(UploadRecord(path="gps", participant_id=participant, stream=GPS, size_bytes=2_500, received_at=now))
    if is_processed:
        hour = now.replace(minute=0, second=0, microsecond=0)
        db.session.add(
            Chunk(participant_id=participant, study_id=study.id, stream=GPS, time_bin=hour, size_bytes=4_500)
        )
    db.session.commit()


def test_a_researcher_signs_in_chooses_a_study_and_finds_participants(portal: Portal, study: Study):
    portal.opens("/choose_study")
    portal.signs_in("mlopez", "wrong")
    expect(portal.page.get_by_role("status")).to_contain_text("do not match")
    portal.signs_in("mlopez")
    participants = portal.chooses_study("Mood and movement")
    home = f"/view_study/{study.id}/participants"
    participants.shows("xaaaaaab", 50)
    participants.says("1–50 of 120 participants")

    participants.turns_page("Next")
    participants.shows("xaaaaafb", 50)
    portal.address_ends_with(f"{home}?page=2")
    participants.sorts_by("Id")
    participants.shows("xaaaaaab", 50)
    participants.sorts_by("Id")
    participants.shows("xaaaabca", 50)
    portal.address_ends_with(f"{home}?sort=id")
    participants.filters("Not registered")
    participants.says("1–50 of 60 participants")
    portal.address_ends_with(f"{home}?show=not_registered&sort=id")

    portal.page.go_back()
    participants.says("1–50 of 120 participants")
    portal.address_ends_with(f"{home}?sort=id")
    participants.searches("XAAAABB")
    participants.shows("xaaaabbj", 10)
    expect(portal.focused).to_have_value("XAAAABB")
    portal.page.reload()
    participants.shows("xaaaabbj", 10)
    portal.signs_out()


def test_participants_are_added_and_their_passwords_shown_once(portal: Portal, study: Study):
    portal.opens(f"/view_study/{study.id}/participants")
    portal.signs_in("mlopez")
    adding = ParticipantsPage(portal).adds_participants()
    first, second = adding.adds_one(), adding.adds_one()
    assert first[0] != second[0] and len(first[1]) == 8
    lines = adding.downloads(2).splitlines()
    assert lines[0] == "Patient ID,Registration password" and len(lines) == 3
    portal.page.get_by_role("link", name=f"Open {second[0]}").click()
    participant = ParticipantPage(portal, second[0])
    participant.says("Nothing has arrived yet")
    participant.does_not_say(second[1])


def test_a_participants_page_fills_while_one_looks_at_it(portal: Portal, study: Study):
    portal.opens(f"/view_study/{study.id}/participant/xaaaaaab")
    portal.signs_in("mlopez")
    participant = ParticipantPage(portal, "xaaaaaab")
    participant.says("Nothing has arrived yet")

    arrives(study, "xaaaaaab", is_processed=False)
    participant.polls_now()
    participant.says("Reporting")
    expect(portal.page.get_by_role("table", name="The newest uploads").get_by_role("row")).to_have_count(2)
    participant.says("2.5 kB")

    arrives(study, "xaaaaaab", is_processed=True)
    participant.polls_now()
    drawing = portal.page.get_by_role("table", name="Hours with data of 24")
    expect(drawing.get_by_role("row", name="GPS")).to_contain_text("1 of 24 hours")

    participant.goes_a_day_back()
    expect(portal.page).to_have_url(re.compile(r"\?day=20"))
    expect(portal.page.get_by_role("link", name="The day after")).to_be_visible()
    portal.page.go_back()
    portal.address_ends_with(f"/view_study/{study.id}/participant/xaaaaaab")


def test_figures_of_a_study_renew_themselves(portal: Portal, study: Study):
    portal.page.clock.install()
    portal.opens(f"/view_study/{study.id}/participants")
    portal.signs_in("mlopez")
    participants = ParticipantsPage(portal)
    participants.says("none so far")
    arrives(study, "xaaaabca", is_processed=True)
    portal.page.clock.run_for(5_000)
    participants.says("1 of 60")

    asked: list[str] = []
    portal.page.on("request", lambda request: asked.append(request.url.removeprefix(portal.server)))
    portal.page.clock.fast_forward(61 * 60_000)
    portal.page.clock.run_for(20_000)
    assert set(asked) <= {"/session_left"}, "an hour without a sign of life ends the polling"


def test_a_page_says_when_its_figures_are_not_up_to_date(portal: Portal, study: Study):
    portal.opens(f"/view_study/{study.id}/participants")
    portal.signs_in("mlopez")
    ParticipantsPage(portal)
    polled = portal.page.locator("[data-poll]")
    db.session.execute(sa.text("UPDATE studies SET hidden_at = now() WHERE id = :id"), {"id": study.id})
    db.session.commit()
    polled.dispatch_event("poll")
    expect(polled).to_have_class("stale")
    expect(polled).to_contain_text("none so far")
    portal.console_said("404")


def test_everything_is_reached_by_keyboard(portal: Portal, study: Study):
    portal.opens()
    expect(portal.focused).to_have_attribute("name", "username")
    portal.page.keyboard.type("mlopez")
    portal.presses("Tab")
    portal.page.keyboard.type("Correct horse 1! and more")
    portal.presses("Enter")
    portal.sees_heading("Studies")
    portal.presses("Tab")
    expect(portal.focused).to_have_text("Skip to content")
    portal.presses("Enter", "j", "Enter")
    portal.sees_heading("Mood and movement")
    portal.page.get_by_role("navigation", name="Study").get_by_role("link", name="Participants", exact=True).focus()
    portal.presses("Enter")
    ParticipantsPage(portal)
    portal.presses("/")
    portal.page.keyboard.type("xaaaabca")
    ParticipantsPage(portal).shows("xaaaabca", 1)
    portal.presses("Escape")
    portal.focused.blur()
    portal.presses("j", "Enter")
    ParticipantPage(portal, "xaaaabca")
    portal.page.get_by_role("button", name="Account of").focus()
    portal.presses("Enter", "Tab", "Enter")
    portal.sees_heading("Account")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_screen_scrolls_only_down(portal: Portal, study: Study, scheme: str):
    """375 px, light and dark: the side is a sheet, tables scroll within themselves."""
    portal.page.set_viewport_size({"width": 375, "height": 760})
    portal.page.emulate_media(color_scheme=scheme)
    arrives(study, "xaaaabca", is_processed=True)
    portal.opens()
    portal.has_no_sideways_scroll()
    portal.signs_in("mlopez")
    portal.sees_heading("Studies")
    lightness = portal.page.evaluate("getComputedStyle(document.documentElement).backgroundColor.match(/[0-9.]+/)[0]")
    assert (float(lightness) > 0.5) == (scheme == "light")
    for path in (
        "/choose_study",
        "/manage_credentials",
        f"/view_study/{study.id}/participants",
        f"/view_study/{study.id}/add_participants",
        f"/view_study/{study.id}/participant/xaaaabca",
        f"/view_study/{study.id}/participant/xaaaaaab",
    ):
        portal.opens(path)
        portal.has_no_sideways_scroll()
    portal.page.get_by_role("button", name="Menu").click()
    portal.page.get_by_role("navigation", name="Study").get_by_role("link", name="Add participants").click()
    AddingPage(portal)


def test_everything_works_without_scripts(context: BrowserContext, assets: None, server: str, study: Study):
    plain = context.browser.new_context(java_script_enabled=False)
    portal = Portal(plain.new_page(), server)
    portal.signs_in("mlopez")
    participants = portal.chooses_study("Mood and movement")
    participants.turns_page("Next")
    participants.shows("xaaaaafb", 50)
    participants.searches("xaaaabc")
    portal.presses("Enter")
    participants.shows("xaaaabca", 1)
    adding = participants.adds_participants()
    patient_id, _ = adding.adds_one()
    portal.page.get_by_role("link", name=f"Open {patient_id}").click()
    ParticipantPage(portal, patient_id)
    portal.signs_out()
    plain.close()
