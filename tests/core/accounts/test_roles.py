"""Narrow roles, roles that end on a day, and keys narrower than their owner (PERM-94, PERM-96)."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade

from core.access import Role
from core.accounts.requirements import account_rule
from core.accounts.roles import RoleRefused, checked_last_day
from core.audit import SERVER
from core.database import db
from core.models import ApiKey, AuditRecord, StudyRole
from core.models.researcher import requester_of, studies_of
from core.studies.changing import set_security, set_timezone
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor

pytestmark = pytest.mark.usefixtures("quick_passwords")


def today(zone: str) -> date:
    return datetime.now(ZoneInfo(zone)).date()


def ask(app: Flask, path: str, fields: dict[str, str]) -> int:
    with app.app_context():
        return app.test_client().post(path, data=fields).status_code


def test_a_role_counts_to_the_end_of_its_last_day_in_the_studys_zone(app: Flask, factory: Factory):
    """PERM-96: the day of the study's zone, its last minute included; also in the middle of a session."""
    for zone in ("Pacific/Kiritimati", "Etc/GMT+12", "America/New_York"):
        study = factory.study(timezone_name=zone)
        person = factory.researcher()
        factory.role(person, study, Role.STUDY_RESEARCHER, today(zone))
        visitor = Visitor(app, person)
        assert visitor.get(f"/view_study/{study.id}").status_code == 200
        factory.role(person, study, Role.STUDY_RESEARCHER, today(zone) - timedelta(days=1))
        assert visitor.get(f"/view_study/{study.id}").status_code == 403
        assert studies_of(db.session(), person) == []
        assert requester_of(db.session(), person).study_roles == {}


def test_the_end_moves_with_the_zone_of_the_study(app: Flask, factory: Factory):
    """PERM-96, PORTAL-95."""
    study, person = factory.study(timezone_name="Pacific/Kiritimati"), factory.researcher()
    factory.role(person, study, Role.STUDY_VIEWER, date(2030, 1, 31))
    row = db.session.scalars(db.select(StudyRole)).one()
    assert row.ends_at == datetime(2030, 1, 31, 10, tzinfo=UTC)
    set_timezone(db.session(), study, "Etc/UTC", datetime.now(UTC), actor=SERVER)
    db.session.commit()
    assert (row.ends_on, row.ends_at) == (date(2030, 1, 31), datetime(2030, 2, 1, tzinfo=UTC))


def test_an_ended_role_brings_no_rules_for_passwords(app: Flask, factory: Factory):
    """PERM-96, PORTAL-42."""
    study, person = factory.study(), factory.researcher()
    set_security(db.session(), study, 18, None, actor=SERVER)
    factory.role(person, study, Role.STUDY_RESEARCHER)
    assert account_rule(db.session(), person).least == 18
    factory.role(person, study, Role.STUDY_RESEARCHER, date(2020, 1, 1))
    assert account_rule(db.session(), person).least == 8


def test_a_last_day_is_today_or_later(app: Flask, factory: Factory):
    """PERM-96: what is typed is refused with a sentence."""
    study, now = factory.study(), datetime.now(UTC)
    assert checked_last_day("  ", study, now) is None
    assert checked_last_day(str(now.astimezone(study.zone).date()), study, now)
    for wrong in ("2020-01-01", "31.1.2030", "2030-02-30", "9999-12-31", "٢٠٣٠-01-01"):
        with pytest.raises(RoleRefused):
            checked_last_day(wrong, study, now)


@pytest.mark.parametrize(
    ("role", "page", "download", "lists", "data", "change"),
    [
        (Role.STUDY_VIEWER, 200, 403, 403, 403, 403),
        (Role.STUDY_ANALYST, 200, 200, 200, 200, 403),
        (Role.STUDY_RESEARCHER, 200, 200, 200, 200, 302),
    ],
)
def test_viewers_read_and_analysts_download(
    app: Flask, factory: Factory, role: Role, page: int, download: int, lists: int, data: int, change: int
):
    """PERM-94: pages, the download page, the API's lists and data, and a change."""
    participant = factory.participant()
    study = participant.study
    person = factory.researcher(study=study, role=role)
    visitor, key = Visitor(app, person), factory.api_key(person) | {"study_id": study.object_id}
    assert visitor.get(f"/view_study/{study.id}/participants").status_code == page
    assert visitor.get(f"/data_access_web_form/{study.id}").status_code == download
    assert ask(app, "/get-participant-ids/v1", key) == lists
    assert ask(app, "/get-data/v1", key) == data
    own = f"/view_study/{study.id}/participant/{participant.patient_id}"
    assert visitor.post(f"{own}/test").status_code == change
    listed = app.test_client().post("/get-studies/v1", data=key).get_json()
    assert list(listed) == ([] if role is Role.STUDY_VIEWER else [study.object_id])


def test_a_key_is_for_one_study_or_for_lists(app: Flask, factory: Factory):
    """PERM-37, PERM-96: never wider than its owner."""
    study, other = factory.study(), factory.study()
    person = factory.researcher(study=study)
    factory.role(person, other, Role.STUDY_RESEARCHER)
    one = factory.api_key(person, only_study=study)
    lists = factory.api_key(person, is_for_lists=True)
    here, there = {"study_id": study.object_id}, {"study_id": other.object_id}
    assert ask(app, "/get-data/v1", one | here) == 200
    for path in ("/get-data/v1", "/get-participant-ids/v1"):
        assert ask(app, path, one | there) == 403
    assert list(app.test_client().post("/get-studies/v1", data=one).get_json()) == [study.object_id]
    for fields in (here, there):
        assert ask(app, "/get-participant-ids/v1", lists | fields) == 200
        assert ask(app, "/get-data/v1", lists | fields) == 403
        assert ask(app, "/get-interventions/v1", lists | fields) == 403
        assert ask(app, "/get-participant-table-data/v1", lists | fields | {"data_format": "csv"}) == 403
    factory.role(person, study, None)
    assert ask(app, "/get-participant-ids/v1", one | here) == 403
    assert app.test_client().post("/get-studies/v1", data=one).get_json() == {}
    with pytest.raises(ValueError):
        factory.api_key(person, only_study=factory.study())


def test_a_site_administrators_key_may_be_narrower_too(app: Flask, factory: Factory):
    """PERM-96."""
    study, other = factory.study(), factory.study()
    key = factory.api_key(factory.researcher(is_site_admin=True), only_study=study)
    assert ask(app, "/get-data/v1", key | {"study_id": study.object_id}) == 200
    assert ask(app, "/get-data/v1", key | {"study_id": other.object_id}) == 403


def test_a_role_with_its_last_day_is_in_the_audit_trail(app: Flask, factory: Factory):
    """CLAR-20, PERM-96."""
    study, person = factory.study(), factory.researcher()
    factory.role(person, study, Role.STUDY_VIEWER, date(2030, 1, 31))
    factory.role(person, study, None)
    rows = db.session.scalars(db.select(AuditRecord).filter_by(action="study.grant").order_by(AuditRecord.id)).all()
    assert [row.detail for row in rows] == [
        {"username": person.username, "after": "study_viewer", "ends_on": "2030-01-31"},
        {"username": person.username, "before": "study_viewer", "after": None},
    ]


def test_a_downgrade_leaves_nothing_wider(app: Flask, factory: Factory):
    """MODEL-100, PERM-94: narrow roles and narrow keys are gone rather than widened."""
    study = factory.study()
    viewer, staff = (factory.researcher(study=study, role=role) for role in (Role.STUDY_VIEWER, Role.STUDY_RESEARCHER))
    factory.api_key(staff, is_for_lists=True)
    factory.api_key(staff)
    staff_id, viewer_id = staff.id, viewer.id
    db.session.remove()
    downgrade(revision="0018")
    rows = db.session.execute(db.text("SELECT researcher_id FROM study_roles")).scalars().all()
    assert rows == [staff_id] and viewer_id not in rows
    assert db.session.execute(db.text("SELECT count(*) FROM api_keys")).scalar() == 1
    db.session.remove()
    upgrade()
    assert not db.session.scalars(db.select(ApiKey)).one().is_for_lists
