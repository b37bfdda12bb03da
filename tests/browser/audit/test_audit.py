"""The audit trail in a real browser: from a change to its row, by mouse, by keyboard and without JavaScript."""

import os
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from core.access import Requester, Role
from core.audit import COMMAND_LINE, actor_of, record
from core.audit.access_log import end_access, record_access
from core.audit.origin import Origin
from core.database import db
from core.models import AccessKind, CustomField, SignInRecord, Study
from core.models.audit_record import Action
from core.participants.editing import edit_many
from core.studies.changing import set_end_date, set_security
from core.studies.settings_changes import save_app_settings
from tests.browser.audit.navigator import AuditPage
from tests.browser.navigator import Portal
from tests.support.factories import Factory

pytestmark = pytest.mark.usefixtures("quick_passwords")
PEOPLE = ("sre1eb1h", "k3wq8z2d", "7hx2mm4t")


@pytest.fixture
def study(factory: Factory) -> Study:
    """With changes of several kinds by an administrator and a command, data accesses and sign-ins."""
    study = factory.study("Sleep and movement")
    anna = factory.researcher("anna", study=study, role=Role.STUDY_ADMIN)
    factory.researcher("root", is_site_admin=True)
    session, now = db.session(), datetime.now(UTC)
    here = Origin("5f0c2a9d3e7b4a61", "192.0.2.17", None, Requester(study_roles={study.id: Role.STUDY_ADMIN}))
    actor = replace(actor_of(anna), origin=here)
    field = CustomField(study_id=study.id, name="Site")
    session.add(field)
    session.flush()
    people = [factory.participant(study, patient_id) for patient_id in PEOPLE]
    save_app_settings(session, study, {"gps_on_duration_seconds": 90, "calls": False}, now, actor=actor)
    edits = {person.id: {f"field:{field.id}": "Boston"} for person in people}
    edit_many(session, study, edits, "Set Site", now, actor=actor)
    set_security(session, study, 12, 90, actor=actor)
    set_end_date(session, study, date(2099, 1, 31), now, actor=COMMAND_LINE)
    record(session, actor, Action.PARTICIPANT_RESET_DEVICE, study=study, participant=people[0])
    for key, ids, streams in ((None, None, None), ("nightly export", list(PEOPLE[:1]), ["gps", "accelerometer"])):
        of = replace(actor, key_name=key)
        count = len(ids or PEOPLE)
        access = record_access(
            session, of, AccessKind.DATA, study, participants=count, patient_ids=ids, streams=streams
        )
        end_access(session, access, 83_200_000, None if key else "GeneratorExit")
    for outcome, name in (("signed_in", "anna"), ("wrong_password", "anna"), ("unknown_name", None)):
        session.add(SignInRecord(username=name, outcome=outcome, address="192.0.2.17", browser="Firefox on macOS"))
    session.commit()
    return study


def opened(portal: Portal) -> AuditPage:
    portal.page.emulate_media(reduced_motion="reduce")
    portal.signs_in("anna")
    portal.page.get_by_role("navigation", name="Study").get_by_role("link", name="Audit trail").click()
    return AuditPage(portal)


def photograph(portal: Portal, name: str) -> None:
    """Pictures at a telephone's and a laptop's width, light and dark, in the folder PICTURES where that is set."""
    folder = os.environ.get("PICTURES")
    size = portal.page.viewport_size
    for width in (375, 1280) if folder else ():
        portal.page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            portal.page.emulate_media(color_scheme=scheme)
            portal.page.screenshot(path=Path(str(folder)) / f"{name}-{width}-{scheme}.png", full_page=True)
    portal.page.emulate_media(color_scheme="light")
    if size:
        portal.page.set_viewport_size(size)


def test_an_administrator_finds_who_changed_what(portal: Portal, study: Study):
    """PORTAL-290: filters, the participants of one change, the file, and the way to a participant."""
    audit = opened(portal)
    audit.says("GPS: on for: 60 → 90")
    audit.says("Least length of passwords: 8 → 12")
    portal.has_no_axe_violation()
    photograph(portal, "changes")
    audit.chooses("Who", "anna")
    audit.chooses("What", "Edited many participants")
    audit.shows()
    audit.lists(1)
    portal.page.get_by_role("link", name="Each participant of this change").click()
    audit.says("The participants of one change")
    audit.lists(3)
    portal.has_no_axe_violation()
    photograph(portal, "of-many")
    assert audit.downloads().count("participant.fields") == 3
    portal.page.get_by_role("link", name="All changes").click()
    audit.types("Participant", PEOPLE[0])
    audit.shows()
    audit.lists(2)
    portal.page.get_by_role("main").get_by_role("link", name=PEOPLE[0]).first.click()
    portal.sees_heading(PEOPLE[0])
    portal.page.go_back()
    expect(portal.page.get_by_label("Participant", exact=True)).to_have_value(PEOPLE[0])
    audit.types("From", "2099-12-31")
    audit.types("To", "2099-12-30")
    audit.shows()
    audit.says("Not before the first day.")
    portal.console_said("422")
    portal.has_no_axe_violation()
    photograph(portal, "wrong")
    portal.page.get_by_role("link", name="Clear", exact=True).click()
    audit.opens_tab("Data access")
    audit.lists(3)  # the file of before too
    audit.says("with the key nightly export")
    portal.has_no_axe_violation()
    photograph(portal, "access")


def test_pages_are_turned_by_keyboard(portal: Portal, study: Study):
    """PORTAL-290: keyset pages over real links; back is right."""
    for _ in range(120):
        record(db.session(), COMMAND_LINE, Action.STUDY_STOP, study=study)
    db.session.commit()
    audit = opened(portal)
    audit.lists(50)
    portal.page.get_by_role("link", name="Older").focus()
    portal.presses("Enter")
    portal.page.wait_for_url("**before=**")
    audit.turns_page("Older")
    audit.says("created the study")
    audit.turns_page("Newer")
    audit.lists(50)
    audit.turns_page("Newest")
    portal.address_ends_with(f"/view_study/{study.id}/audit")
    portal.page.go_back()
    audit.lists(50)


def test_a_site_administrator_sees_every_study_and_the_sign_ins(portal: Portal, study: Study):
    """PORTAL-290: over the menu of the account."""
    portal.page.emulate_media(reduced_motion="reduce")
    portal.signs_in("root")
    portal.page.get_by_role("button", name="Account of").click()
    portal.page.get_by_role("navigation", name="Account").get_by_role("link", name="Audit trail").click()
    audit = AuditPage(portal)
    audit.says("added the account")
    portal.has_no_axe_violation()
    photograph(portal, "site")
    audit.chooses("Study", "Sleep and movement")
    audit.shows()
    expect(portal.page.get_by_role("main")).not_to_contain_text("added the account")
    audit.opens_tab("Data access")
    audit.says("Sleep and movement")
    portal.has_no_axe_violation()
    photograph(portal, "site-access")
    audit.opens_tab("Sign-ins")
    audit.says("Firefox on macOS")
    portal.has_no_axe_violation()
    photograph(portal, "sign-ins")
    audit.chooses("Outcome", "Refused, too many attempts")
    audit.shows()
    audit.says("Nothing matches")
    portal.has_no_axe_violation()
    photograph(portal, "nothing")


def test_the_pages_fit_every_screen(portal: Portal, study: Study):
    """PORTAL-10: no sideways scroll from 375 to 2,560 pixels."""
    portal.signs_in("root")
    portal.sees_heading("Sleep and movement")
    for width in (375, 768, 1280, 2560):
        portal.page.set_viewport_size({"width": width, "height": 900})
        for path in (
            f"/view_study/{study.id}/audit",
            f"/view_study/{study.id}/audit/access",
            "/audit",
            "/audit/sign_ins",
        ):
            portal.opens(path)
            portal.has_no_sideways_scroll()


def test_without_javascript_the_filters_and_pages_work(chromium, assets: None, server: str, study: Study):
    """PORTAL-290: real links and forms."""
    context: BrowserContext = chromium.new_context(java_script_enabled=False)
    context.set_default_timeout(10_000)
    try:
        portal = Portal(context.new_page(), server)
        portal.signs_in("anna")
        portal.opens(f"/view_study/{study.id}/audit")
        audit = AuditPage(portal)
        audit.chooses("What", "Changed app settings")
        audit.shows()
        audit.lists(1)
        audit.says("Calls: on → off")
        assert "study.app_settings" in audit.downloads()
    finally:
        context.close()
