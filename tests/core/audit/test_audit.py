"""The audit trail: each change leaves a row with who made it, in the transaction of the change (CLAR-20)."""

from datetime import UTC, date, datetime
from typing import Any

from flask import Flask

from core.access import Role
from core.accounts.roles import set_role
from core.audit import COMMAND_LINE, actor_of
from core.database import db
from core.models import AuditRecord
from core.participants.changing import reset_password, retire_participant
from core.participants.purging import ask_for_purge
from core.studies.changing import set_end_date, set_timezone, stop_study
from tests.support.factories import Factory

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def trail() -> list[AuditRecord]:
    return list(db.session.scalars(db.select(AuditRecord).order_by(AuditRecord.id)))


def test_changes_of_a_study_are_told_with_what_was_before(app: Flask, factory: Factory):
    """CLAR-20."""
    study, researcher = factory.study(), factory.researcher("ada")
    before = len(trail())
    actor = actor_of(researcher)
    set_timezone(db.session(), study, "Europe/Berlin", NOW, actor=actor)
    set_end_date(db.session(), study, date(2027, 1, 31), NOW, actor=actor)
    stop_study(db.session(), study, NOW, actor=COMMAND_LINE)
    set_role(db.session(), study, researcher, Role.STUDY_ADMIN, actor=COMMAND_LINE)
    db.session.commit()
    rows = trail()[before:]
    assert [(row.action, row.actor_name, row.detail) for row in rows] == [
        ("study.timezone", "ada", {"before": "America/New_York", "after": "Europe/Berlin"}),
        ("study.end_date", "ada", {"before": None, "after": "2027-01-31"}),
        ("study.stop", "command line", {}),
        ("study.grant", "command line", {"username": "ada", "after": "study_admin"}),
    ]
    assert {row.study_object_id for row in rows} == {study.object_id}
    assert [row.actor_id for row in rows] == [researcher.id, researcher.id, None, None]


def test_a_change_that_is_rolled_back_leaves_no_row(app: Flask, factory: Factory):
    """CLAR-20: the row belongs to the transaction of the change."""
    study, before = factory.study(), len(trail())
    stop_study(db.session(), study, NOW, actor=COMMAND_LINE)
    db.session.rollback()
    assert len(trail()) == before


def test_the_trail_of_a_participant_outlives_a_purge_and_holds_no_secret(app: Flask, factory: Factory):
    """CLAR-20: ids as text, no foreign key, no password."""
    participant = factory.participant()
    password = reset_password(db.session(), participant, actor=COMMAND_LINE)
    retire_participant(db.session(), participant, NOW, actor=COMMAND_LINE)
    ask_for_purge(db.session(), participant, actor=COMMAND_LINE)
    db.session.commit()
    rows: list[Any] = [row for row in trail() if row.patient_id == participant.patient_id]
    assert [row.action for row in rows] == ["participant.reset_password", "participant.retire", "participant.purge"]
    assert password not in str([row.detail for row in rows])
    assert AuditRecord.__table__.foreign_keys == set()


def test_upkeep_by_command_leaves_rows_too(app: Flask, factory: Factory):
    """PORTAL-290: what changes data or the queue; a dry run changes nothing."""
    study, before = factory.study(), len(trail())
    run = app.test_cli_runner().invoke
    for arguments in (
        ["process-uploads", "--retry-failed", "--study", study.object_id],
        ["reprocess-study", study.object_id],
        ["reprocess-study", study.object_id, "--dry-run"],
        ["audit-data", "--study", study.object_id, "--fix"],
        ["audit-data"],
        ["audit-store", "--study", study.object_id, "--requeue"],
        ["compress-store", "--study", study.object_id],
        ["compress-store", "--dry-run"],
    ):
        assert run(args=arguments).exit_code == 0, arguments
    db.session.rollback()
    rows = trail()[before:]
    assert [row.action for row in rows] == [
        "processing.try_again",
        "data.reprocess",
        "data.fix",
        "store.requeue",
        "store.compress",
    ]
    assert {(row.actor_name, row.study_object_id) for row in rows} == {("command line", study.object_id)}
