"""Rows of the audit trail say with which role, in which request and from where (PORTAL-290)."""

from flask import Flask

from core.access import Role
from core.audit import actor_of
from core.audit.origin import NOWHERE, current_origin
from core.database import db
from core.models import AuditRecord
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor


def newest() -> AuditRecord:
    db.session.rollback()
    row = db.session.scalar(db.select(AuditRecord).order_by(AuditRecord.id.desc()).limit(1))
    assert row is not None
    return row


def test_a_change_in_the_portal_says_role_request_and_address(app: Flask, factory: Factory, quick_passwords: None):
    """PORTAL-290: the role in the study of the change; a site administrator's counts in all."""
    study = factory.study()
    participant = factory.participant(study)
    people = {
        "study_researcher": factory.researcher(study=study),
        "study_admin": factory.researcher(study=study, role=Role.STUDY_ADMIN),
        "site_admin": factory.researcher(is_site_admin=True),
    }
    for role, person in people.items():
        answer = Visitor(app, person).post(
            "/clear_device_id",
            study_id=str(study.id),
            patient_id=participant.patient_id,
        )
        assert answer.status_code == 302
        row = newest()
        assert (row.action, row.actor_name, row.actor_role) == ("participant.reset_device", person.username, role)
        assert (row.request_id, row.address) == (answer.headers["X-Request-ID"], "127.0.0.1")


def test_nothing_of_a_request_is_left_for_what_a_thread_does_next(app: Flask, factory: Factory, quick_passwords: None):
    """PORTAL-290."""
    person = factory.researcher(is_site_admin=True)
    Visitor(app, person).get("/choose_study").close()  # a web server closes each answer
    assert current_origin() == NOWHERE
    assert actor_of(person).role_in(None) is None


def test_a_command_has_neither_role_nor_address(app: Flask, factory: Factory):
    """PORTAL-290, CLAR-20."""
    factory.study()
    row = newest()
    assert (row.actor_kind, row.actor_role, row.request_id, row.address) == ("server", None, None, None)
