"""The database refuses to change rows of the audit trail (CLAR-20), and what empties other tables still works."""

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy.exc import DBAPIError

from core.audit import COMMAND_LINE, record
from core.database import db
from core.models.audit_record import Action
from tests.support.factories import Factory


def rows() -> int:
    return db.session.scalar(sa.text("SELECT count(*) FROM audit_records")) or 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_records SET actor_name = 'nobody'",
        "UPDATE audit_records SET detail = '{}' WHERE false",
        "DELETE FROM audit_records",
        "TRUNCATE audit_records",
        "TRUNCATE audit_records, studies CASCADE",
        "SET LOCAL session_replication_role = replica; DELETE FROM audit_records",
    ],
)
def test_rows_are_neither_changed_nor_removed(app: Flask, factory: Factory, statement: str):
    """CLAR-20, PORTAL-290: a trigger refuses it, whatever the program."""
    factory.study()
    before = rows()
    with pytest.raises(DBAPIError, match="append-only"):
        db.session.execute(sa.text(statement))
    db.session.rollback()
    assert rows() == before > 0


def test_the_migration_goes_down_and_up_with_rows_in_the_tables(app: Flask, factory: Factory):
    """OPS-43: after going down rows can be changed, after going up they cannot; none is lost."""
    study = factory.study()
    record(db.session(), COMMAND_LINE, Action.STUDY_STOP, study=study)
    db.session.execute(
        sa.text("INSERT INTO data_access_records (kind, username) VALUES ('audit_trail', 'a'), ('data', 'a')")
    )
    db.session.execute(
        sa.text("INSERT INTO audit_records (actor_kind, actor_name, action) VALUES ('api_key', 'ada', 'study.stop')")
    )
    db.session.commit()
    before = rows()
    db.session.remove()
    downgrade(revision="0017")
    db.session.execute(sa.text("UPDATE audit_records SET detail = '{}'"))
    assert db.session.scalar(sa.text("SELECT count(*) FROM data_access_records")) == 1
    db.session.commit()
    db.session.remove()
    upgrade()
    assert rows() == before
    with pytest.raises(DBAPIError, match="append-only"):
        db.session.execute(sa.text("DELETE FROM audit_records"))
    db.session.rollback()
