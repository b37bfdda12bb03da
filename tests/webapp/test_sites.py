"""People who are limited to a site find nothing of another one in any answer, and change nothing there (PERM-95)."""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from core.access import Capability, Role
from core.database import db
from core.models import AlertSeen, AnswerAlert, FieldValue, ParticipantBatch, Researcher
from tests.support.exporting import fetched_export, newest_export
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor
from tests.support.sites import NORTH, SECRET, SOUTH, TwoSites
from tests.webapp.test_permissions import MATRIX, PORTAL, Key, Page, a_survey

pytestmark = pytest.mark.usefixtures("quick_passwords")
ROLES = (Role.STUDY_RESEARCHER, Role.STUDY_ANALYST, Role.STUDY_VIEWER)
# Differ from one request to the next: tokens, ages of times, and where in the page an answer was made.
CHANGING = re.compile(
    r'name="(?:csrf_token|form_key)" value="[^"]*"|"(?:idle|most)":\d+|'
    r"X-CSRFToken[^}]*|\d+ (?:second|minute|hour)s? ago|just now|\d\d:\d\d(?::[\d.]+)?"
    r'|nonce="[^"]*"|in the log as <code>[^<]*|data-session-(?:idle|most)="\d+"'
)
LIST_VARIANTS = (
    "?show=all&tests=true&sort=id&order=asc",
    "?search=zs",
    "?search=southern",
    "?search=north",
    "?find=zsaouth1",
    "?find=zsouthern-zsaouth1",
    "?platform=ANDROID",
    "?version=zsouthern-app",
    "?sort=external",
    "?show=silent",
    "?page=2",
)


@pytest.fixture
def world(factory: Factory) -> TwoSites:
    return TwoSites(factory)


def address(world: TwoSites, page: Page, participant: str, batch: int = 99_999, survey: int | None = None) -> str:
    return page.path.format(
        study=world.study.id,
        participant=participant,
        batch=batch,
        survey=survey or world.survey.id,
        colleague=world.admin.id,
        token="none",
    )


def is_about_one(page: Page) -> bool:
    return "{participant}" in page.path or page.asks_form


def gets(world: TwoSites, participant: str, batch: int) -> Iterator[str]:
    """The addresses of all pages, with the variants that search, filter, sort and name a value."""
    for endpoint, page in PORTAL.items():
        if page.method == "GET" and page.path not in ("/", "/logout", "/manage_credentials"):
            path = address(world, page, participant, batch)
            yield path
            if endpoint in ("participants.list", "participants.export"):
                value = (
                    f"?field={world.group.id}:zsouthern group",
                    f"?field={world.site.id}:",
                    f"?sort=field:{world.group.id}",
                )
                yield from (path + variant for variant in (*LIST_VARIANTS, *value))
            if endpoint == "alerts.list":
                yield from (f"{path}?state={state}" for state in ("open", "acknowledged", "earlier"))
            if endpoint == "alerts.alert":
                yield from (path.replace("999999", str(number)) for number in world.alerts["northern"][:3])
            if endpoint == "answers.submissions":
                yield from (path + variant for variant in ("?only=problems", "?tests=shown", "?participant=zsaouth1"))
            if endpoint == "participants.edit_value":
                yield from (path.replace("field:99", f"field:{field.id}") for field in (world.group, world.site))


def asked_posts(world: TwoSites) -> list[tuple[str, dict[str, str]]]:
    """Forms that answer with participants, and change nothing."""
    people, data = f"/view_study/{world.study.id}/participants", f"/data_access_web_form/{world.study.id}"
    both = {"everybody": "true", "tests": "true"}
    named = {"patient_id": "zsaouth1"}
    value = {"column": f"field:{world.group.id}", "value": "zsouthern group"}
    return [
        (f"{people}/values", both),
        (f"{people}/values", both | value),
        (f"{people}/values", named | value),
        (f"{people}/reset_phones", both),
        (f"{people}/reset_phones", named),
        (f"{people}/retire", both),
        (f"{people}/retire", named),
        (f"{people}/csv", both),
        (f"{people}/csv", named),
        (f"{data}/size", {}),
        (f"{data}/size", {"participants": "zsaouth1"}),
        (f"{data}/download", {}),
        (f"{data}/download", {"participants": "north111"}),
    ]


def exported(world: TwoSites, visitor: Visitor) -> Iterator[tuple[str, str]]:
    """The files of exports that the visitor may ask for, each deleted when it was fetched; nothing for others."""
    of_survey = f"/view_study/{world.study.id}/survey/{world.survey.id}/answers/export"
    of_data = f"/data_access_web_form/{world.study.id}/exports"
    asked = [(of_survey, {"form": "csv", "layout": layout, "texts": "1"}) for layout in ("wide", "long")]
    for path, fields in [*asked, (of_data, {"form": "csv"}), (of_data, {"form": "events"})]:
        if visitor.post(path, **fields).status_code == 302:
            file = fetched_export(visitor)
            visitor.post(f"{of_data}/{newest_export().id}/delete")
            if file.startswith(b"PK"):
                with zipfile.ZipFile(io.BytesIO(file)) as archive:
                    file = b"\n".join(name.encode() + archive.read(name) for name in sorted(archive.namelist()))
            yield f"file of {path} {fields}", f"200\n{file.decode()}"


def told(answer: TestResponse) -> str:
    """What an answer says, without what differs each time; of a zip file, its members and their contents."""
    if answer.mimetype == "application/zip" and answer.status_code == 200:
        with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
            return "\n".join(f"{name}: {archive.read(name)!r}" for name in archive.namelist())
    return CHANGING.sub("", f"{answer.status_code} {answer.headers.get('Location', '')}\n{answer.text}")


def everything(app: Flask, world: TwoSites, person: Researcher, key: dict[str, str], batch: int) -> dict[str, str]:
    """What all pages, read-only forms and endpoints of programs tell this person, by what was asked."""
    visitor = Visitor(app, person)
    answers: dict[str, str] = {}
    for path in gets(world, "north111", batch):
        answers[path] = told(visitor.get(path))
        answers[f"part of {path}"] = told(visitor.swap(path))
    for path, fields in asked_posts(world):
        answers[f"{path} {fields}"] = told(visitor.post(path, **fields))
    answers |= dict(exported(world, visitor))
    for row in MATRIX.values():
        if isinstance(row, Key):
            for more in ({}, {"participant_ids": json.dumps(["zsaouth1"])}, {"data_streams": '["accelerometer"]'}):
                fields = key | {"study_id": world.study.object_id} | more
                with app.app_context():
                    answers[f"{row.path} {more}"] = told(app.test_client().post(row.path, data=fields))
    return answers


@pytest.mark.parametrize("role", [ROLES[0], *(pytest.param(role, marks=pytest.mark.long) for role in ROLES[1:])])
def test_another_site_changes_no_answer(app: Flask, factory: Factory, world: TwoSites, role: Role):
    """PERM-95: every answer is the same whether the study has thirteen participants elsewhere or none."""
    person = world.limited(role)
    factory.role(person, factory.study("A study without a limit"), role)  # so that lists of studies are shown
    key = factory.api_key(person)
    before = everything(app, world, person, key, 99_999)
    world.fill_the_others([person])
    after = everything(app, world, person, key, world.batch_id)
    differing = []
    for asked, expected in before.items():
        counterpart = after[asked.replace("/99999", f"/{world.batch_id}") if "/batches/" in asked else asked]
        if counterpart != expected:
            differing.append((asked, _difference(expected, counterpart)))
    assert not differing, differing
    found = {asked: SECRET.findall(re.sub(r'value="[^"]*"', "", answer)) for asked, answer in after.items()}
    typed = ("zsaouth1", "zsouthern", "search", "find")
    assert not {asked: what for asked, what in found.items() if what and not any(t in asked for t in typed)}
    assert sum(answer.startswith("200") for answer in after.values()) > 60


def _difference(before: str, after: str) -> list[tuple[str, str]]:
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    return [(old[:300], new[:300]) for old, new in pairs if old != new][:4]


def test_the_walk_would_notice(app: Flask, factory: Factory, world: TwoSites):
    """The other site's ids, texts and sizes are in answers to somebody without a limit."""
    person = factory.researcher(study=world.study)
    world.fill_the_others([person])
    answers = everything(app, world, person, factory.api_key(person), world.batch_id)
    found = [asked for asked, answer in answers.items() if SECRET.search(answer)]
    assert len(found) > 30
    for asked in (
        "participants",
        "participants.csv",
        f"/view_study/{world.study.id}",
        "size {}",
        "get-data",
        "batches",
    ):
        assert any(asked in one for one in found), asked


@pytest.mark.parametrize("role", ROLES)
def test_participants_of_another_site_are_unknown(app: Flask, world: TwoSites, role: Role):
    """PERM-19, PERM-95: 404 for those of another site and those without one, as for an id that nobody has."""
    person = world.limited(role)
    world.fill_the_others()
    visitor = Visitor(app, person)
    token = visitor.token()
    for endpoint, page in PORTAL.items():
        if not is_about_one(page):
            continue
        for patient_id, is_there in (("zsaouth1", False), ("zsnobod1", False), ("nobody11", False), ("north111", True)):
            if is_there and page.method == "POST":
                continue
            path = address(world, page, patient_id)
            if page.method == "GET":
                answer = visitor.get(path)
            else:
                fields = {"study_id": str(world.study.id), "patient_id": patient_id, "csrf_token": token}
                answer = visitor.post(path, has_token=False, **fields)
            if not is_there or page.passed != 404:
                assert (answer.status_code == 404) is not is_there, (endpoint, patient_id, answer.status_code)


def snapshot(world: TwoSites) -> dict[str, Any]:
    """All rows of the other participants, and of what the study is."""
    ids = [person.id for person in world.south]
    found: dict[str, Any] = {}
    db.session.rollback()
    for table in db.metadata.sorted_tables:
        if "participant_id" in table.c or table.name == "participants":
            key = table.c.id if table.name == "participants" else table.c.participant_id
            found[table.name] = sorted(map(repr, db.session.execute(sa.select(table).where(key.in_(ids)))))
        elif table.name in ("custom_fields", "interventions", "app_settings", "surveys", "participant_batches"):
            found[table.name] = sorted(map(repr, db.session.execute(sa.select(table))))
    return found


def test_what_is_posted_with_ids_of_another_site_changes_nothing(app: Flask, world: TwoSites):
    """PERM-95: single changes, changes of many, undo, imports, batches and the study as a whole."""
    person = world.limited(Role.STUDY_RESEARCHER)
    world.fill_the_others([person])
    visitor, south = Visitor(app, person), world.south[0].patient_id
    edit = db.session.scalar(sa.text("SELECT max(id) FROM bulk_edits"))
    before = snapshot(world)
    fields = {
        "study_id": str(world.study.id),
        "patient_id": south,
        "confirmed": "true",
        "count": "1",
        "typed_name": "Group",
        "column": f"field:{world.group.id}",
        "value": "changed",
        "text": "changed",
        "external_id": "changed",
        "how": "completed",
        "left_on": "2026-01-05",
        "field": str(world.group.id),
        "field_id": str(world.group.id),
        "edit_custom_field": "changed",
        "new_field": "changed",
        "new_intervention": "changed",
        "intervention": str(world.baseline.id),
        "intervention_id": str(world.baseline.id),
        "edit_intervention": "changed",
        f"field{world.group.id}": "changed",
        "platform": "IOS",
    }
    for endpoint, page in PORTAL.items():
        if page.method != "POST" or page.capability is None or endpoint.startswith("account."):
            continue
        path = address(world, page, south, world.batch_id).replace("undo/99", f"undo/{edit}")
        answer = visitor.post(path.replace("field:99", f"field:{world.group.id}"), **fields)
        assert answer.status_code != 500, endpoint
        assert not SECRET.search(re.sub(r'value="zs[^"]*"', "", answer.text)), endpoint
    for action in ("values", "reset_phones"):
        whole = {k: v for k, v in fields.items() if k != "patient_id"} | {"everybody": "true", "tests": "true"}
        assert visitor.post(f"/view_study/{world.study.id}/participants/{action}", **whole).status_code == 302
    csv = f"Patient ID,Group\r\n{south},changed\r\n".encode()
    form = {"csrf_token": visitor.token(), "file": (io.BytesIO(csv), "a.csv")}
    answer = visitor.open(
        f"/view_study/{world.study.id}/import_participants",
        method="POST",
        data=form,
        content_type="multipart/form-data",
    )
    assert answer.status_code == 422 and "is not the id of a participant of this study" in answer.text
    after = snapshot(world)
    assert {name for name in before if before[name] != after[name]} == set()


@pytest.mark.parametrize("role", ROLES)
def test_alerts_of_another_site_are_unknown(app: Flask, world: TwoSites, role: Role):
    """PERM-94, PERM-95, CLAR-58: one alert, who has seen it, and acknowledging it, for those who do not only read."""
    is_reader = role in (Role.STUDY_VIEWER, Role.STUDY_ANALYST)
    person = world.limited(role)
    world.fill_the_others()
    visitor, of = Visitor(app, person), f"/view_study/{world.study.id}/alerts"
    north, south = (world.alerts[word][:3] for word in ("northern", "zsouthern"))
    for number in south:
        assert visitor.get(f"{of}/{number}").status_code == 404
        refused = 403 if is_reader else 404
        assert visitor.post(f"{of}/{number}/acknowledge", note="seen").status_code == refused
    page = visitor.get(f"{of}/{north[0]}")
    assert page.status_code == 200 and ("Your role reads only" in page.text) is is_reader
    acknowledged = visitor.post(f"{of}/{north[0]}/acknowledge", note="seen")
    assert acknowledged.status_code == (403 if is_reader else 302)
    db.session.rollback()
    noted = list(db.session.scalars(sa.select(AnswerAlert.id).where(AnswerAlert.note == "seen")))
    assert noted == ([] if is_reader else [north[0]])
    assert set(db.session.scalars(sa.select(AlertSeen.alert_id))) == {north[0]}


STUDY_WIDE = (
    Capability.SURVEY_EDIT,
    Capability.INTERVENTION_EDIT,
    Capability.FIELD_EDIT,
    Capability.ALERTS_MANAGE,
)


def test_what_concerns_the_whole_study_is_refused(app: Flask, world: TwoSites):
    """PERM-95: with 403, unless the role says otherwise; all else is as for a role without a limit."""
    limited, wider = world.limited(Role.STUDY_RESEARCHER), world.factory.researcher()
    world.limit(wider, Role.STUDY_RESEARCHER, may_change_study=True)
    whole = world.factory.researcher(study=world.study)
    for endpoint, page in PORTAL.items():
        if not page.is_about_study or is_about_one(page) or "{batch}" in page.path:
            continue
        statuses = []
        for person in (limited, wider, whole):
            visitor = Visitor(app, person)
            survey = a_survey(world.study, is_deleted="restore" in page.path).id if "{survey}" in page.path else None
            path = address(world, page, "north111", survey=survey)
            fields = {"study_id": str(world.study.id), "number_of_new_patients": "none"}
            answer = visitor.send(page.method, path, **fields)
            statuses.append(answer.status_code)
        if page.capability in STUDY_WIDE:
            assert (statuses[0], statuses[1]) == (403, statuses[2]) and statuses[2] != 403, endpoint
        else:
            assert len(set(statuses)) == 1, (endpoint, statuses)


def test_who_has_two_sites_is_asked_at_enrolment(app: Flask, world: TwoSites):
    """CLAR-22: on the page, for batches in the background, and in files."""
    visitor = Visitor(app, world.limited(Role.STUDY_RESEARCHER, NORTH, SOUTH))
    pages = f"/view_study/{world.study.id}"
    one, many = "/create_new_participant", f"/create_many_patients/{world.study.id}"
    fields = {"study_id": str(world.study.id), "number_of_new_patients": "2"}
    page = visitor.get(f"{pages}/add_participants").text
    assert page.count('name="site" required') == 2 and f"<option>{SOUTH}</option>" in page
    for path in (one, many):
        for wrong in ({}, {"site": "elsewhere"}):
            answer = visitor.post(path, **fields, **wrong)
            assert answer.status_code == 422 and "Clinic: choose one of those" in answer.text
    large = fields | {"number_of_new_patients": "60"}
    assert visitor.post(many, **large).status_code == 422
    assert visitor.post(one, site=SOUTH, **fields).status_code == 200
    assert visitor.post(many, site=NORTH, **fields).mimetype == "text/csv"
    assert visitor.post(many, site=NORTH, **large).status_code == 302
    answer = visitor.open(
        one, method="POST", data=fields | {"csrf_token": visitor.token()}, headers={"HX-Request": "true"}
    )
    assert answer.status_code == 422 and "<html" not in answer.text and "Clinic: choose one" in answer.text
    db.session.rollback()
    had = sa.select(FieldValue.value, sa.func.count()).filter_by(field_id=world.site.id).group_by(FieldValue.value)
    assert dict(db.session.execute(had).tuples().all()) == {NORTH: 3 + 2, SOUTH: 1}
    batch = db.session.scalars(sa.select(ParticipantBatch)).one()
    assert batch.rows == [{"external_id": None, "values": {f"field:{world.site.id}": NORTH}}] * 60


def send_file(visitor: Visitor, path: str, text: str, **fields: str) -> TestResponse:
    form = {"csrf_token": visitor.token(), "file": (io.BytesIO(text.encode()), "a.csv"), **fields}
    return visitor.open(path, method="POST", data=form, content_type="multipart/form-data")


def test_files_give_and_keep_the_site(app: Flask, world: TwoSites):
    """CLAR-22, CLAR-38: a line's own site, or that of the form; an import cannot change it."""
    visitor = Visitor(app, world.limited(Role.STUDY_RESEARCHER, NORTH, SOUTH))
    add = f"/view_study/{world.study.id}/add_participants_from_file"
    assert "of lines without one" in visitor.get(add).text
    file = f"External ID,Clinic\r\nA,{SOUTH}\r\nB,\r\n"
    assert "Clinic: choose one" in send_file(visitor, add, file).text
    assert "Clinic: choose one" in send_file(visitor, add, file.replace(SOUTH, "elsewhere"), site=NORTH).text
    preview = send_file(visitor, add, file, site=NORTH)
    digest = re.search(r'name="confirmed" value="([0-9a-f]{64})"', preview.text)
    assert preview.status_code == 200 and digest
    assert send_file(visitor, add, file, site=NORTH, confirmed=digest[1]).status_code == 302
    db.session.rollback()
    rows = db.session.scalars(sa.select(ParticipantBatch.rows)).one()
    assert [row["values"][f"field:{world.site.id}"] for row in rows] == [SOUTH, NORTH]
    change = f"/view_study/{world.study.id}/import_participants"
    kept = send_file(visitor, change, f"Patient ID,Clinic,Group\r\nnorth111,{NORTH},new\r\n")
    assert kept.status_code == 200
    moved = send_file(visitor, change, f"Patient ID,Clinic\r\nnorth111,{SOUTH}\r\n")
    assert moved.status_code == 422 and "you cannot change it" in moved.text


def test_an_external_id_of_another_site_is_taken_without_telling_whose(app: Flask, world: TwoSites):
    world.fill_the_others()
    visitor = Visitor(app, world.limited(Role.STUDY_RESEARCHER))
    taken = world.south[0].external_id
    assert taken
    add = f"/view_study/{world.study.id}/add_participants_from_file"
    answer = send_file(visitor, add, f"External ID\r\n{taken}\r\n")
    assert answer.status_code == 422 and "is taken in this study" in answer.text
    path = f"/view_study/{world.study.id}/participant/north111/external_id"
    answer = visitor.post(path, external_id=taken)
    assert answer.status_code == 422 and "Choose another external id" in answer.text
    change = f"/view_study/{world.study.id}/import_participants"
    answer = send_file(visitor, change, f"Patient ID,External ID\r\nnorth111,{taken}\r\n")
    assert answer.status_code == 422 and "belongs to" not in answer.text


def test_pages_offer_no_change_of_the_site(app: Flask, world: TwoSites):
    """PERM-91, PERM-95: and say what the role is limited to."""
    visitor = Visitor(app, world.limited(Role.STUDY_RESEARCHER))
    own = f"/view_study/{world.study.id}/participant/north111"
    listed = visitor.get(f"/view_study/{world.study.id}/participants").text
    assert "limited to <strong>Northern clinic</strong>" in listed
    assert f"values/field:{world.group.id}" in listed and f"values/field:{world.site.id}" not in listed
    for send in (visitor.get, visitor.post):
        assert send(f"{own}/values/field:{world.site.id}").status_code == 403
    assert re.search(rf'id="field{world.site.id}"[^>]* readonly', visitor.get(f"{own}/about").text)
    answer = visitor.post(own, **{f"field{world.site.id}": SOUTH, f"field{world.group.id}": "other"})
    assert answer.status_code == 422 and "you cannot change it" in answer.text
    chosen = visitor.post(f"/view_study/{world.study.id}/participants/values", patient_id="north111").text
    assert f'"field:{world.group.id}"' in chosen and f'"field:{world.site.id}"' not in chosen


def test_a_limit_counts_at_once_and_ends_with_the_role(app: Flask, world: TwoSites):
    """PERM-2, PERM-95: in running sessions, by key too."""
    world.fill_the_others()
    person = world.factory.researcher(study=world.study)
    visitor, key = Visitor(app, person), world.factory.api_key(person) | {"study_id": world.study.object_id}

    def ids() -> tuple[int, int]:
        with app.app_context():
            listed = app.test_client().post("/get-participant-ids/v1", data=key).get_json()
        return len(listed), visitor.get(f"/view_study/{world.study.id}/participant/zsaouth1").status_code

    assert ids() == (16, 200)
    world.limit(person, Role.STUDY_RESEARCHER)
    assert ids() == (3, 404)
    world.limit(person, Role.STUDY_RESEARCHER, "a clinic without participants")
    assert ids() == (0, 404)
    world.factory.role(person, world.study, Role.STUDY_ADMIN)
    assert ids() == (16, 200)
