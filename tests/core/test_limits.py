"""The condition behind roles that are limited to a site: what a session sees, and what it can change (PERM-95)."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy.orm import Session

from core.access import TABLE, Capability, Outcome, Requester, Role, SiteLimit, decide
from core.accounts.roles import RoleRefused, set_role
from core.audit import SERVER
from core.database import db
from core.limits import drop_views, limit_in, limit_session, make_views, seen_whole
from core.models import (
    AuditRecord,
    BulkEdit,
    CustomField,
    FieldOption,
    FieldValue,
    Participant,
    ParticipantBatch,
    QueuedUpload,
    StudyRole,
    StudyRoleSite,
    UploadRecord,
)
from core.models.researcher import requester_of
from core.participants.batches import ask_for_batch, batches_of_study, make_next
from core.participants.changing import set_external_id
from core.participants.creating import create_participants
from core.participants.editing import EditRefused, edit_many, values_of
from core.participants.refusals import ParticipantRefused
from core.studies.custom_fields import delete_field
from core.studies.names import NameRefused
from core.surveys.rebuilding import update_events_of_study
from tests.core.test_access import SomeStudy
from tests.support.factories import Factory
from tests.support.sites import NORTH, OTHERS, SOUTH, TwoSites
from webapp.stores import object_store, sealed_store, settings

pytestmark = pytest.mark.usefixtures("quick_passwords")


@pytest.fixture
def world(factory: Factory) -> TwoSites:
    made = TwoSites(factory)
    made.fill_the_others()
    return made


def session_of(world: TwoSites, *values: str) -> Session:
    session = Session(db.engine, expire_on_commit=False)
    limit_session(session, {world.study.id: SiteLimit(world.site.id, values)})
    return session


@pytest.fixture
def limited(world: TwoSites) -> Iterator[Session]:
    """A session of somebody who is limited to the north."""
    with session_of(world, NORTH) as session:
        yield session


def count(session: Session, what: str) -> int:
    return session.execute(sa.text(f"SELECT count(*) FROM {what}")).scalar_one()  # noqa: S608  names of tables


def test_every_table_with_rows_of_participants_has_a_view(world: TwoSites, limited: Session):
    """A new table is covered without anybody thinking of it."""
    for table in db.metadata.sorted_tables:
        if "participant_id" in table.c:
            whole = db.session.execute(sa.select(table.c.participant_id)).scalars().all()
            seen = limited.execute(sa.select(table.c.participant_id)).scalars().all()
            mine = {person.id for person in world.north} | {None}
            assert sorted(map(str, seen)) == sorted(str(of) for of in whole if of in mine), table.name
    assert count(limited, "participants") == 3
    assert count(db.session(), "participants") == 3 + OTHERS


def test_all_ways_of_asking_see_the_same(world: TwoSites, limited: Session):
    """Text, Core, functions without a table, loading by key, aliases, lateral joins, and after commit and rollback."""
    study, table = world.study.id, Participant.__table__
    for _ in range(3):
        assert limited.scalar(sa.select(sa.func.count()).where(Participant.study_id == study)) == 3
        assert limited.scalar(sa.select(sa.func.count()).select_from(table)) == 3
        assert limited.scalar(sa.select(sa.func.count()).select_from(sa.orm.aliased(Participant))) == 3
        assert limited.get(Participant, world.south[0].id) is None
        assert not limited.scalar(sa.select(sa.exists().where(FieldValue.value == SOUTH)))
        log = sa.select(UploadRecord.id).where(UploadRecord.participant_id == Participant.id).lateral()
        assert len(limited.execute(sa.select(log.c.id).select_from(Participant).join(log, sa.true())).all()) == 6
        limited.commit()
    limited.rollback()
    with limited.begin_nested():
        assert count(limited, "participants") == 3
    assert count(limited, "processed_hours") == count(limited, "participant_batches") == 0
    assert limited.scalars(
        sa.select(AuditRecord.patient_id).filter_by(study_object_id=world.study.object_id)
    ).all() == [person.patient_id for person in world.north]


def test_updates_and_deletes_reach_nobody_else(world: TwoSites, limited: Session):
    limited.execute(sa.update(Participant).values(external_id=None))
    limited.execute(sa.delete(FieldValue).where(FieldValue.field_id == world.group.id))
    limited.execute(sa.update(QueuedUpload).values(reason="changed"))
    limited.commit()
    assert db.session.scalar(sa.select(sa.func.count(Participant.external_id))) == OTHERS
    assert count(db.session(), f"field_values WHERE field_id = {world.group.id}") == OTHERS
    assert count(db.session(), "upload_queue WHERE reason = 'changed'") == 2 * 3


def test_the_limit_ends_with_the_session_and_is_of_one_study(world: TwoSites, factory: Factory):
    elsewhere = factory.participant()
    engine = sa.create_engine(db.engine.url, creator=db.engine.pool._creator, pool_size=1, max_overflow=0)  # type: ignore[attr-defined]
    with Session(engine) as session:
        limit_session(session, {world.study.id: SiteLimit(world.site.id, (NORTH,))})
        assert count(session, "participants") == 4
        assert session.get(Participant, elsewhere.id)
        session.commit()
    with Session(engine) as session:
        assert count(session, "participants") == 4 + OTHERS
    engine.dispose()


@pytest.mark.parametrize(
    ("values", "people"), [((), 0), ((SOUTH,), 12), ((NORTH, SOUTH), 15), (("nowhere",), 0), ((NORTH.lower(),), 0)]
)
def test_values_are_compared_exactly_and_none_means_nobody(world: TwoSites, values: tuple[str, ...], people: int):
    """CLAR-22."""
    with session_of(world, *values) as session:
        assert count(session, "participants") == people


def test_a_session_without_the_views_fails(world: TwoSites):
    """Rather than to find the tables; for the moments of a migration."""
    with db.engine.begin() as connection:
        drop_views(connection)
    with pytest.raises(sa.exc.ProgrammingError), session_of(world, NORTH) as session:
        count(session, "participants")
    with db.engine.begin() as connection:
        make_views(connection)
    with session_of(world, NORTH) as session:
        assert count(session, "participants") == 3


def test_sessions_without_a_limit_ask_nothing_more(world: TwoSites):
    statements: list[str] = []
    sa.event.listen(db.engine, "before_cursor_execute", lambda *of: statements.append(of[2]))
    with Session(db.engine) as session:
        limit_session(session, {})
        assert limit_in(session, world.study.id) is None
        session.scalar(sa.select(Participant.id).limit(1))
    assert len(statements) == 1


def test_the_whole_study_can_be_seen_for_a_moment(world: TwoSites, limited: Session):
    with seen_whole(limited):
        assert count(limited, "participants") == 3 + OTHERS
    assert count(limited, "participants") == 3
    with pytest.raises(sa.exc.ProgrammingError), seen_whole(limited):
        limited.execute(sa.text("SELECT nothing"))
    limited.rollback()
    assert count(limited, "participants") == 3
    with pytest.raises(ValueError, match="own"), seen_whole(limited):
        raise ValueError("own")
    assert count(limited, "participants") == 3


def test_events_of_all_follow_a_change_of_the_study(world: TwoSites, limited: Session, monkeypatch: pytest.MonkeyPatch):
    """Of people who may change the study."""
    seen: list[int] = []
    monkeypatch.setattr(
        "core.surveys.rebuilding.rebuild_events", lambda session, *_, **__: seen.append(count(session, "participants"))
    )
    update_events_of_study(limited, world.study, datetime.now(UTC))
    assert seen == [3 + OTHERS]


def test_new_participants_get_the_site(world: TwoSites, limited: Session):
    """CLAR-22: who has several is asked."""
    study, store = world.study, sealed_store(world.study)
    new = create_participants(limited, store, study, 2, actor=SERVER)
    person = limited.scalars(sa.select(Participant).filter_by(patient_id=new[0].patient_id)).one()
    assert values_of(limited, person.id) == {f"field:{world.site.id}": NORTH}
    with pytest.raises(ParticipantRefused, match="Clinic: choose one"):
        create_participants(limited, store, study, 1, site=SOUTH, actor=SERVER)
    limited.rollback()
    with session_of(world, NORTH, SOUTH) as session:
        for site in ("", "elsewhere"):
            with pytest.raises(ParticipantRefused, match="Clinic: choose one"):
                create_participants(session, store, study, 1, site=site, actor=SERVER)
            session.rollback()
        (one,) = create_participants(session, store, study, 1, site=SOUTH, actor=SERVER)
    assert limited.scalar(sa.select(Participant.id).filter_by(patient_id=one.patient_id)) is None
    with session_of(world) as session, pytest.raises(ParticipantRefused, match="there is none"):
        create_participants(session, store, study, 1, actor=SERVER)


def test_batches_get_the_site_and_are_seen_by_it(world: TwoSites, limited: Session, app: Flask):
    """CLAR-32: their participants are made in the background, without a limit."""
    batch = ask_for_batch(limited, world.study, 60, "mine", actor=SERVER)
    limited.commit()
    with pytest.raises(ParticipantRefused):
        rows = [{"external_id": None, "values": {f"field:{world.site.id}": SOUTH}}]
        ask_for_batch(limited, world.study, 1, "theirs", rows=rows, actor=SERVER)
    limited.rollback()
    assert [one.name for one in batches_of_study(limited, world.study.id, 9)] == ["mine"]
    limited.commit()
    assert make_next(db.engine, object_store(), settings())
    assert count(limited, f"participants WHERE batch_id = {batch.id}") == 50
    limited.commit()
    moved = db.session.scalars(sa.select(Participant.id).filter_by(batch_id=batch.id)).first()
    db.session.execute(sa.update(FieldValue).filter_by(participant_id=moved).values(value=SOUTH))
    db.session.commit()
    assert batches_of_study(limited, world.study.id, 9) == []
    with session_of(world, SOUTH) as session:
        assert [one.name for one in batches_of_study(session, world.study.id, 9)] == ["zsouthern batch"]


def test_a_batch_without_rows_is_seen_once_all_of_it_is_of_the_site(world: TwoSites, limited: Session):
    batch = ParticipantBatch(study_id=world.study.id, name="early", wanted=2)
    db.session.add(batch)
    db.session.commit()
    assert batches_of_study(limited, world.study.id, 9) == []
    limited.commit()
    db.session.execute(sa.update(Participant).filter_by(id=world.north[0].id).values(batch_id=batch.id))
    batch.made, batch.state = 2, "done"
    db.session.commit()
    assert [one.name for one in batches_of_study(limited, world.study.id, 9)] == ["early"]


def test_the_limiting_field_cannot_be_changed(world: TwoSites, limited: Session):
    """PERM-95: by pages, edits of many, files and undoing."""
    mine, now = world.north[0].id, datetime.now(UTC)
    for value in (SOUTH, "", None):
        with pytest.raises(EditRefused, match="limited to a site"):
            edit_many(limited, world.study, {mine: {f"field:{world.site.id}": value}}, "", now, actor=SERVER)
        limited.rollback()
    same = {f"field:{world.site.id}": NORTH, f"field:{world.group.id}": "other"}
    edit, _ = edit_many(limited, world.study, {mine: same, world.south[0].id: same}, "", now, actor=SERVER)
    limited.commit()
    assert edit and limited.get(BulkEdit, edit.id)
    assert values_of(db.session(), world.south[0].id)[f"field:{world.group.id}"] == "zsouthern group"
    assert values_of(db.session(), mine)[f"field:{world.group.id}"] == "other"


def test_an_external_id_of_another_site_is_refused_without_telling_whose(world: TwoSites, limited: Session):
    mine = limited.get_one(Participant, world.north[0].id, options=[sa.orm.joinedload(Participant.study)])
    taken = world.south[0].external_id
    assert taken
    with pytest.raises(ParticipantRefused) as refused:
        set_external_id(limited, mine, taken.upper(), actor=SERVER)
    assert world.south[0].patient_id not in str(refused.value).lower().replace(taken, "")


def test_limits_of_roles_are_checked_and_replaced(world: TwoSites, factory: Factory):
    """PERM-95, CLAR-22: they hold ids of the field and its values."""
    person, study = factory.researcher(), world.study
    world.limit(person, Role.STUDY_VIEWER, f" {NORTH} ", NORTH, SOUTH)
    limit = SiteLimit(world.site.id, (NORTH, SOUTH))
    assert requester_of(db.session(), person).limits == {study.id: limit}
    assert db.session.scalar(sa.select(sa.func.count()).select_from(FieldOption)) == 2
    told = db.session.scalars(sa.select(AuditRecord.detail).order_by(AuditRecord.id.desc())).first()
    options = db.session.scalars(sa.select(StudyRoleSite.option_id)).all()
    assert told["limited"] == {"field": world.site.id, "values": sorted(options)}
    foreign = CustomField(study_id=factory.study().id, name="Clinic")
    db.session.add(foreign)
    db.session.commit()
    for role, wrong in (
        (Role.STUDY_ADMIN, limit),
        (None, limit),
        (Role.STUDY_VIEWER, SiteLimit(foreign.id, (NORTH,))),
        (Role.STUDY_VIEWER, SiteLimit(world.site.id, (" ",))),
        (Role.STUDY_VIEWER, SiteLimit(world.site.id, ("x" * 201,))),
    ):
        with pytest.raises(RoleRefused):
            set_role(db.session(), study, person, role, limit=wrong, actor=SERVER)
    assert requester_of(db.session(), person).limits == {study.id: limit}
    factory.role(person, study, Role.STUDY_ADMIN)
    assert requester_of(db.session(), person).limits == {}
    world.limit(person, Role.STUDY_RESEARCHER, SOUTH, may_change_study=True)
    assert requester_of(db.session(), person).limits == {study.id: SiteLimit(world.site.id, (SOUTH,), True)}
    factory.role(person, study, None)
    assert db.session.scalars(sa.select(StudyRoleSite)).all() == []


def test_a_site_administrator_has_no_limit(world: TwoSites, factory: Factory):
    """PERM-1: the flag wins."""
    person = factory.researcher(is_site_admin=True)
    world.limit(person, Role.STUDY_VIEWER)
    assert requester_of(db.session(), person).limits == {}


def test_a_limited_administrator_cannot_be_stored(world: TwoSites, factory: Factory):
    person = factory.researcher(study=world.study, role=Role.STUDY_ADMIN)
    with pytest.raises(sa.exc.IntegrityError):
        db.session.execute(sa.update(StudyRole).filter_by(researcher_id=person.id).values(limit_field_id=world.site.id))


def test_a_field_or_value_that_limits_a_role_cannot_be_deleted(world: TwoSites, factory: Factory):
    """CLAR-22: also of a role that has ended."""
    person = world.limited(Role.STUDY_VIEWER)
    with pytest.raises(NameRefused, match="limits roles"):
        delete_field(db.session(), world.study, world.site, actor=SERVER)
    for statement in (sa.delete(FieldOption), sa.delete(CustomField).filter_by(id=world.site.id)):
        with pytest.raises(sa.exc.IntegrityError), db.session.begin_nested():
            db.session.execute(statement)
    factory.role(person, world.study, Role.STUDY_VIEWER)
    delete_field(db.session(), world.study, world.site, actor=SERVER)
    db.session.commit()
    assert db.session.get(CustomField, world.site.id) is None


def test_what_concerns_the_whole_study_needs_a_role_that_says_so():
    """PERM-95: what a researcher may do and a limited one may not."""
    study, roles = SomeStudy(1), {1: Role.STUDY_RESEARCHER}
    refused = {
        capability
        for capability in TABLE
        if decide(Requester(study_roles=roles), capability, study).is_allowed
        and not decide(Requester(study_roles=roles, limits={1: SiteLimit(1, ("a",))}), capability, study).is_allowed
    }
    c = Capability
    assert refused == {c.SURVEY_EDIT, c.INTERVENTION_EDIT, c.FIELD_EDIT, c.ALERTS_MANAGE}
    for capability in refused:
        limits = {1: SiteLimit(1, ("a",), may_change_study=True)}
        assert decide(Requester(study_roles=roles, limits=limits), capability, study).is_allowed
        elsewhere = {2: SiteLimit(1, ("a",))}
        assert decide(Requester(study_roles=roles, limits=elsewhere), capability, study).outcome is Outcome.ALLOWED


def test_no_role_that_can_be_limited_reads_the_trail_or_the_processing():
    """What these pages count for a whole study cannot be divided."""
    plain = {Role.STUDY_RESEARCHER, Role.STUDY_ANALYST, Role.STUDY_VIEWER}
    for capability in (Capability.AUDIT_STUDY, Capability.STUDY_STATUS, Capability.PROCESSING_RETRY):
        assert not TABLE[capability].roles & plain


def test_a_downgrade_removes_limited_roles_rather_than_widening_them(world: TwoSites, factory: Factory):
    """MODEL-100: other roles and all values stay, and the views come and go."""
    limited, whole = world.limited(Role.STUDY_VIEWER).id, factory.researcher(study=world.study).id
    study, site = world.study.id, world.site.id
    db.session.remove()
    downgrade(revision="0020")
    rows = db.session.execute(sa.text("SELECT researcher_id FROM study_roles")).scalars().all()
    assert whole in rows and limited not in rows
    assert count(db.session(), "pg_namespace WHERE nspname = 'limited'") == 0
    db.session.remove()
    upgrade()
    assert count(db.session(), "field_values") == 2 * (3 + OTHERS) - 1
    with Session(db.engine) as session:
        limit_session(session, {study: SiteLimit(site, (NORTH,))})
        assert count(session, "participants") == 3
