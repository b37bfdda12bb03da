"""Who may go where (PERM-4, PERM-10 to PERM-19, PERM-30). A route that is not listed here fails the first test."""

from dataclasses import dataclass

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from core.access import Role
from core.audit import SERVER
from core.database import db
from core.models import Participant, ParticipantBatch, Researcher, Study
from core.participants.batches import ask_for_batch
from tests.factories import Factory
from tests.webapp.portal_visitor import Visitor

PHONE, KEY, PUBLIC = "phone", "key", "public"


@dataclass(frozen=True)
class Page:
    """A route of the portal: `kind` is `anybody`, `login`, `study` or `site` (site administrators only).

    `passed`: the answer beyond its door.
    """

    kind: str
    path: str
    method: str = "GET"
    passed: int = 200
    is_return_page: bool = False


MATRIX: dict[str, str | Page] = {
    "static": PUBLIC,
    "health.healthz": PUBLIC,
    "health.readyz": PUBLIC,
    "metrics.metrics": PUBLIC,  # by a token or an address: test_metrics.py
    "health.background_processing_status": PUBLIC,
    "phone.register_user": PHONE,
    "phone.upload": PHONE,
    "phone.get_latest_device_settings": PHONE,
    "phone.download_surveys": PHONE,
    "phone.set_password": PHONE,
    "phone.mobile_heartbeat": PHONE,
    "phone.set_fcm_token": PHONE,
    "phone.test_notification": PHONE,
    "phone.send_survey_notification": PHONE,
    "phone.graph": PHONE,
    "phone_pages.download": PUBLIC,
    "phone_pages.privacy_policy": PUBLIC,
    "data_api.check_my_credentials": KEY,
    "data_api.get_studies": KEY,
    "data_api.get_participant_ids": KEY,
    "data_api.get_data": KEY,
    "portal.sign_in": Page("anybody", "/"),
    "portal.validate_login": Page("anybody", "/validate_login", "POST", passed=302),
    "portal.logout": Page("anybody", "/logout"),
    "portal.choose_study": Page("login", "/choose_study"),
    "portal.downtime": Page("site", "/downtime"),
    "portal.set_downtime": Page("site", "/set_downtime", "POST", passed=302),
    "portal.manage_credentials": Page("login", "/manage_credentials"),
    "portal.self_change_password": Page("login", "/self_change_password", "POST", passed=400),
    "portal.study_page": Page("study", "/view_study/{study}", is_return_page=True),
    "portal.study_page_figures": Page("study", "/view_study/{study}/figures", passed=302),
    "portal.participant_page": Page("study", "/view_study/{study}/participant/{participant}", is_return_page=True),
    "portal.participant_page_figures": Page(
        "study", "/view_study/{study}/participant/{participant}/figures", passed=302
    ),
    "portal.add_participants": Page("study", "/view_study/{study}/add_participants"),
    "portal.create_new_participant": Page("study", "/create_new_participant", "POST"),
    "portal.batch_page": Page("study", "/view_study/{study}/batches/{batch}"),
    "portal.batch_progress": Page("study", "/view_study/{study}/batches/{batch}/progress", passed=302),
    "portal.batch_passwords": Page("study", "/view_study/{study}/batches/{batch}/passwords", "POST", passed=302),
    "portal.create_many_patients": Page("study", "/create_many_patients/{study}", "POST", passed=422),
}
PORTAL = {endpoint: page for endpoint, page in MATRIX.items() if isinstance(page, Page)}
pages = pytest.mark.parametrize("endpoint", PORTAL)


@dataclass
class World:
    """A study with a participant, a hidden one, one that nobody here belongs to, and one visitor of each kind."""

    study: Study
    hidden: Study
    participant: Participant
    stranger: Participant
    batch: ParticipantBatch
    strange_batch: ParticipantBatch
    visitors: dict[str, Researcher | None]


@pytest.fixture
def world(factory: Factory, quick_passwords: None) -> World:
    study, hidden, other = factory.study(), factory.study(), factory.study()
    hidden.hidden_at = db.func.now()
    visitors: dict[str, Researcher | None] = {"out": None}
    for name, role, is_site_admin in (
        ("none", None, False), ("study_researcher", Role.STUDY_RESEARCHER, False),
        ("study_admin", Role.STUDY_ADMIN, False), ("site_admin", None, True),
    ):  # fmt: skip
        in_study = {"study": study, "role": role} if role else {}
        visitors[name] = factory.researcher(is_site_admin=is_site_admin, **in_study)
    batches = [ask_for_batch(db.session(), of, 99, "a batch", actor=SERVER) for of in (study, other)]
    db.session.commit()
    return World(study, hidden, factory.participant(study), factory.participant(other), *batches, visitors)


def ask(
    app: Flask,
    world: World,
    page: Page,
    who: str,
    *,
    study: int | None = None,
    participant: str | None = None,
    batch: int | None = None,
) -> TestResponse:
    number = study or world.study.id
    path = path_of(world, page, study=number, participant=participant, batch=batch)
    visitor = Visitor(app, world.visitors[who])
    if page.method == "GET":
        return visitor.get(path)
    return visitor.post(path, study_id=str(number), number_of_new_patients="none")


def path_of(
    world: World, page: Page, *, study: int | None = None, participant: str | None = None, batch: int | None = None
) -> str:
    return page.path.format(
        study=study or world.study.id, participant=participant or world.participant.patient_id,
        batch=batch or world.batch.id,
    )  # fmt: skip


def test_every_route_is_in_the_matrix(app: Flask):
    """PERM-4: a new route needs a line here."""
    routed = {rule.endpoint for rule in app.url_map.iter_rules()}
    assert {endpoint.removesuffix("_ios") for endpoint in routed} == set(MATRIX)


def test_each_kind_of_route_is_where_it_belongs(app: Flask):
    """PERM-33: phones, keys and sessions have doors of their own."""
    for endpoint, row in MATRIX.items():
        blueprint = endpoint.partition(".")[0]
        assert (blueprint == "portal") == isinstance(row, Page)
        assert (row == PHONE, row == KEY) == (blueprint == "phone", blueprint == "data_api")


def test_whoever_is_not_signed_in_is_sent_to_sign_in(app: Flask, world: World):
    """PERM-11, PORTAL-24."""
    for page in PORTAL.values():
        answer = ask(app, world, page, "out")
        if page.kind == "anybody":
            assert answer.status_code in (200, 302)
            continue
        path = path_of(world, page)
        assert answer.status_code == 302, page
        assert answer.location == (f"/?page={path}" if page.is_return_page else "/")


@pytest.mark.parametrize("who", ["none", "study_researcher", "study_admin", "site_admin"])
def test_every_kind_of_researcher_gets_what_its_role_allows(app: Flask, world: World, who: str):
    """PERM-12, PERM-34."""
    for page in PORTAL.values():
        expected = page.passed
        if (page.kind == "study" and who == "none") or (page.kind == "site" and who != "site_admin"):
            expected = 403
        elif (page.path in ("/", "/choose_study") and who in ("study_researcher", "study_admin")) or page.path == "/":
            expected = 302
        assert ask(app, world, page, who).status_code == expected, (who, page)


@pytest.mark.parametrize("who", ["none", "study_researcher", "site_admin"])
def test_hidden_and_unknown_studies_are_not_there_for_anybody(app: Flask, world: World, who: str):
    """PERM-12, PERM-19: 404 comes before 403."""
    for page in PORTAL.values():
        if page.kind == "study":
            for study in (world.hidden.id, 99_999):
                assert ask(app, world, page, who, study=study).status_code == 404, (who, page)


def test_a_participant_of_another_study_is_not_there(app: Flask, world: World):
    """PORTAL-131, PERM-71."""
    for page in PORTAL.values():
        if "{participant}" in page.path:
            for patient_id in (world.stranger.patient_id, "nobody11"):
                answer = ask(app, world, page, "site_admin", participant=patient_id)
                assert answer.status_code == 404, page


def test_a_batch_of_another_study_is_not_there(app: Flask, world: World):
    """PERM-19, PERM-71, CLAR-32."""
    for page in PORTAL.values():
        if "{batch}" in page.path:
            for batch in (world.strange_batch.id, 99_999):
                assert ask(app, world, page, "site_admin", batch=batch).status_code == 404, page


def test_nothing_is_inline(app: Flask, world: World):
    """PORTAL-8: the policy forbids it, so no page of the matrix holds any, its fragments included."""
    seen = 0
    for page in PORTAL.values():
        if page.method == "GET":
            visitor = Visitor(app, None if page.path == "/" else world.visitors["site_admin"])
            for answer in (visitor.get(path_of(world, page)), visitor.swap(path_of(world, page))):
                seen += answer.status_code == 200
                for inline in (" style=", "<style", "<script>", " onclick=", "hx-on", "javascript:"):
                    assert inline not in answer.text, (page, inline)
    assert seen > len(PORTAL)


def test_a_study_number_in_another_form_is_no_page(app: Flask, world: World):
    """PORTAL-3."""
    visitor = Visitor(app, world.visitors["site_admin"])
    for number in ("0", "-1", "x", "1.0", f"00{world.study.id}", f"+{world.study.id}", "9" * 19):
        assert visitor.get(f"/view_study/{number}").status_code == 404, number
        if number != f"00{world.study.id}":
            assert visitor.post("/create_new_participant", study_id=number).status_code == 404, number


def test_what_changes_something_is_not_reached_by_get(app: Flask, world: World):
    """PERM-10, PERM-31: 405 before any look at the session."""
    for page in PORTAL.values():
        if page.method == "POST":
            path = path_of(world, page)
            assert Visitor(app).get(path).status_code == 405, page
            assert Visitor(app, world.visitors["site_admin"]).get(path).status_code == 405, page


def test_a_change_without_a_token_is_refused(app: Flask, world: World):
    """PERM-30, PORTAL-6."""
    for page in PORTAL.values():
        if page.method == "POST" and page.path != "/validate_login":
            visitor = Visitor(app, world.visitors["site_admin"])
            path = path_of(world, page)
            answer = visitor.post(path, has_token=False, study_id=str(world.study.id), number_of_new_patients="1")
            assert answer.status_code == 403, page
    assert db.session.scalar(db.select(db.func.count()).select_from(Participant)) == 2


def test_both_forms_of_every_path_are_answered_alike(app: Flask, world: World):
    """PORTAL-1."""
    for page in PORTAL.values():
        if page.method == "GET" and page.path != "/":
            path = path_of(world, page)
            visitor = Visitor(app, world.visitors["site_admin"])
            assert visitor.get(path).status_code == visitor.get(path + "/").status_code, page


def test_whoever_must_set_a_password_gets_nowhere_else(app: Flask, world: World, factory: Factory):
    """PORTAL-41, PERM-41: refusals come first, a POST is not carried out."""
    forced = factory.researcher(study=world.study, must_change_password=True)
    world.visitors["forced"] = forced
    for page in PORTAL.values():
        if page.kind == "study" or page.path == "/choose_study":
            assert ask(app, world, page, "forced").location == "/manage_credentials", page
    assert db.session.scalar(db.select(db.func.count()).select_from(Participant)) == 2
    assert ask(app, world, PORTAL["portal.study_page"], "forced", study=99_999).status_code == 404


def test_htmx_is_led_away_and_gets_nothing_to_swap(app: Flask, world: World):
    """PERM-18; a client that asks for JSON is told 401."""
    path = f"/view_study/{world.study.id}"
    answer = Visitor(app).swap(path)
    assert (answer.status_code, answer.headers["HX-Redirect"], answer.data) == (204, f"/?page={path}", b"")
    assert Visitor(app).get(path, headers={"Accept": "application/json"}).status_code == 401
