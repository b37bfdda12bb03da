"""Builds exports in the test's own process, in place of a flow run, and fetches their files."""

from core.database import db
from core.exports.building import build_next
from core.exports.standing import sole_builder
from core.models import Export
from tests.support.portal_visitor import Visitor
from webapp.stores import object_store, settings


def build_exports() -> None:
    """Builds all exports that wait."""
    with sole_builder(db.engine) as is_sole:
        assert is_sole
        while build_next(db.engine, object_store(), settings()) is not None:
            pass
    db.session.expire_all()


def newest_export() -> Export:
    """The export that was asked for last."""
    return db.session.scalars(db.select(Export).order_by(Export.id.desc()).limit(1)).one()


def fetched_export(visitor: Visitor) -> bytes:
    """The file of the newest export, which is built first, as the visitor gets it."""
    build_exports()
    export = newest_export()
    assert export.state == "done", export.reason
    answer = visitor.get(f"/data_access_web_form/{export.study_id}/exports/{export.id}/file")
    assert answer.status_code == 200, answer.status
    return answer.data
