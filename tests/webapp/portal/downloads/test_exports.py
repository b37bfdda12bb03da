"""Exports in the portal: asked for, watched, fetched in parts, cancelled, run again (PORTAL-242, CLAR-74)."""

import io
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from core.access import Role
from core.accounts.roles import set_role
from core.audit import SERVER
from core.database import db
from core.models import AuditRecord, DataAccessRecord, Export, Participant, Researcher, Study
from tests.core.processing.test_batch import HEADER, process, queue
from tests.support.exporting import build_exports, fetched_export, newest_export
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor
from tests.support.sites import SECRET, TwoSites
from webapp.stores import object_store

pytestmark = pytest.mark.usefixtures("quick_passwords")
AT_MS = 1700002800000


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Sleep “night”")


@pytest.fixture
def participant(factory: Factory, study: Study) -> Participant:
    participant = factory.participant(study, "first111")
    queue(factory, participant, f"accel/{AT_MS}.csv", HEADER + f"{AT_MS},3,1,1,1".encode())
    assert not process().failures
    return participant


@pytest.fixture
def anna(factory: Factory, study: Study) -> Researcher:
    return factory.researcher("anna", study=study, role=Role.STUDY_ANALYST)


@pytest.fixture
def visitor(app: Flask, anna: Researcher) -> Visitor:
    return Visitor(app, anna)


def at(study: Study, rest: str = "") -> str:
    return f"/data_access_web_form/{study.id}/exports{rest}"


def file_of(export: Export) -> str:
    return f"/data_access_web_form/{export.study_id}/exports/{export.id}/file"


@pytest.mark.parametrize(("form", "member"), [("csv", "first111/accelerometer/"), ("parquet", "accelerometer/part")])
def test_an_export_is_asked_for_watched_and_fetched(
    visitor: Visitor, study: Study, participant: Participant, form: str, member: str
):
    """PORTAL-242: the fragment polls while something is open, and says 204 where nothing is new (CLAR-7)."""
    answer = visitor.post(at(study), form=form, stream="accelerometer")
    assert answer.status_code == 302 and answer.location == at(study)
    page = visitor.get(at(study)).text
    assert "data-poll" in page and "Waiting" in page and "1 stream" in page
    state = page.partition('hx-get="')[2].partition('"')[0].replace("&amp;", "&")
    assert visitor.swap(state).status_code == 204
    file = fetched_export(visitor)
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        assert archive.namelist()[0].startswith(member)
    swapped = visitor.swap(state)
    assert swapped.status_code == 200 and "Ready" in swapped.text and "data-poll" not in swapped.text
    records = db.session.scalars(sa.select(DataAccessRecord).order_by(DataAccessRecord.id)).all()
    assert [(row.kind, row.username, row.participants, row.streams) for row in records] == [
        ("export", "anna", 1, ["accelerometer"]),
        ("export_file", "anna", 1, ["accelerometer"]),
    ]
    assert records[1].size_bytes == len(file) and records[1].ended_at is not None
    actions = db.session.scalars(sa.select(AuditRecord.action).where(AuditRecord.action.startswith("export.")))
    assert sorted(actions) == ["export.create", "export.fetch"]


def test_a_broken_download_goes_on_where_it_stopped(
    visitor: Visitor, study: Study, participant: Participant, monkeypatch: pytest.MonkeyPatch
):
    """CLAR-74: ranges, over the borders of parts; a range of another file is not given."""
    monkeypatch.setattr("core.exports.files.PART_BYTES", 50)
    visitor.post(at(study), form="csv")
    whole = fetched_export(visitor)
    file = file_of(newest_export())
    answer = visitor.get(file)
    assert answer.content_length == len(whole) and answer.headers["Accept-Ranges"] == "bytes"
    etag = answer.headers["ETag"]
    for asked, start, end in (("30-120", 30, 121), ("100-", 100, len(whole)), ("-10", len(whole) - 10, len(whole))):
        part = visitor.get(file, headers={"Range": f"bytes={asked}", "If-Range": etag})
        assert part.status_code == 206 and part.data == whole[start:end]
        assert part.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(whole)}"
    assert visitor.get(file, headers={"Range": f"bytes={len(whole)}-"}).status_code == 416
    other = visitor.get(file, headers={"Range": "bytes=5-9", "If-Range": '"other"'})
    assert other.status_code == 200 and other.data == whole


def test_rights_are_asked_again_when_the_file_is_fetched(
    app: Flask, factory: Factory, study: Study, participant: Participant, anna: Researcher, visitor: Visitor
):
    """CLAR-74, PERM-94: a role that was taken away, or became a viewer's, gives 403; other studies' exports 404."""
    visitor.post(at(study), form="csv")
    fetched_export(visitor)
    file = file_of(newest_export())
    colleague = Visitor(app, factory.researcher("berta", study=study, role=Role.STUDY_RESEARCHER))
    assert colleague.get(file).status_code == 200
    for role in (Role.STUDY_VIEWER, None):
        set_role(db.session(), study, anna, role, actor=SERVER)
        db.session.commit()
        assert visitor.get(file).status_code == 403
    other = factory.study("Other")
    stranger = Visitor(app, factory.researcher("carla", study=other))
    assert stranger.get(file).status_code == 403
    assert stranger.get(file.replace(f"/{study.id}/", f"/{other.id}/")).status_code == 404


def test_people_limited_to_a_site_see_exports_of_their_limit(app: Flask, factory: Factory):
    """PERM-95: not those of the whole study, not those of another site; unlimited people see all."""
    world = TwoSites(factory)
    world.fill_the_others()
    admin, north = Visitor(app, world.admin), Visitor(app, world.limited(Role.STUDY_ANALYST))
    admin.post(at(world.study), form="csv")
    whole = newest_export()
    assert b"outh1" in fetched_export(admin)
    north.post(at(world.study), form="csv")
    assert not SECRET.search(fetched_export(north).decode("latin-1"))
    own = newest_export()
    listed = north.get(at(world.study)).text
    assert f'id="export-{own.id}"' in listed and f'id="export-{whole.id}"' not in listed
    assert north.get(file_of(whole)).status_code == 404
    for change in ("again", "cancel", "delete"):
        assert north.post(at(world.study, f"/{whole.id}/{change}")).status_code == 404
    assert admin.get(file_of(own)).status_code == 200


def test_an_export_is_cancelled_run_again_and_deleted(visitor: Visitor, study: Study, participant: Participant):
    """CLAR-74."""
    visitor.post(at(study), form="csv")
    export = newest_export()
    assert "Nothing was changed" in visitor.get(visitor.post(at(study, f"/{export.id}/again")).location).text
    visitor.post(at(study, f"/{export.id}/cancel"))
    page = visitor.get(at(study)).text
    assert "Cancelled" in page and "Run again" in page and "data-poll" not in page
    visitor.post(at(study, f"/{export.id}/again"))
    build_exports()
    assert "Ready" in visitor.get(at(study)).text
    visitor.post(at(study, f"/{export.id}/delete"))
    assert "No exports" in visitor.get(at(study)).text
    assert visitor.get(file_of(export)).status_code == 404


def test_a_file_that_is_over_or_cannot_be_read_is_told(visitor: Visitor, study: Study, participant: Participant):
    """CLAR-74."""
    visitor.post(at(study), form="csv")
    fetched_export(visitor)
    export = newest_export()
    for key in list(object_store().keys(f"{study.object_id}/exports/")):
        object_store().delete(key)
    answer = visitor.get(file_of(export))
    assert answer.status_code == 302 and "cannot be read" in visitor.get(answer.location).text
    db.session.execute(sa.update(Export).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    db.session.commit()
    answer = visitor.get(file_of(export))
    assert answer.status_code == 302 and "not any more" in visitor.get(answer.location).text
    assert "Expired" in visitor.get(at(study)).text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "Choose what to prepare."),
        ({"form": "csv", "start": "soon"}, "A date and time like"),
        ({"form": "csv", "participants": "nobody11"}, "Not in this study: nobody11."),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_queued(
    visitor: Visitor, study: Study, participant: Participant, fields: dict[str, str], said: str
):
    """PORTAL-5."""
    answer = visitor.post(at(study), **fields)
    assert answer.status_code == 422 and said in answer.text
    assert not db.session.scalars(sa.select(Export)).all()
