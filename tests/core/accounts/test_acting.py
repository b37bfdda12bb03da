"""Changes that researchers make to each other, also at the same moment (PERM-2, PERM-61, PORTAL-191 to PORTAL-195)."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask

from core.access import Role
from core.accounts import acting
from core.accounts.acting import ActRefused, NameTaken
from core.accounts.failed_sign_ins import address_source, is_locked, note_failure
from core.accounts.links import VALID, LinkState, link_of, state_of_link, use_link
from core.accounts.team import studies_without_admin
from core.crypto.passwords import verify_password
from core.database import db
from core.models import AccountLink, ApiKey, AuditRecord, DataAccessRecord, PortalSession, Researcher, StudyRole
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor
from tests.support.this_hour import this_hour

pytestmark = pytest.mark.usefixtures("quick_passwords")


def at_once(app: Flask, *changes: Callable[[], None]) -> int:
    """Runs the changes in threads at the same moment; returns how many were carried out."""
    barrier, done = threading.Barrier(len(changes)), []

    def run(change: Callable[[], None]) -> None:
        with app.app_context():
            barrier.wait(10)
            try:
                change()
                db.session.commit()
                done.append(change)
            except ActRefused:
                db.session.rollback()

    threads = [threading.Thread(target=run, args=(change,)) for change in changes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return len(done)


def by_number(number: int) -> Researcher:
    return db.session.get_one(Researcher, number)


def test_two_site_administrators_who_demote_each_other_leave_one(app: Flask, factory: Factory):
    """PERM-61: rights are looked at again once both accounts are locked."""
    one, two = (factory.researcher(is_site_admin=True).id for _ in range(2))

    def change(me: int, target: int) -> Callable[[], None]:
        return lambda: acting.make_site_admin(db.session(), by_number(me), by_number(target), False)

    assert at_once(app, change(one, two), change(two, one)) == 1
    db.session.rollback()
    assert db.session.scalar(db.select(db.func.count()).where(Researcher.is_site_admin)) == 1


def test_two_elevations_at_once_are_one(app: Flask, factory: Factory):
    """PORTAL-190."""
    study = factory.study()
    boss, plain = factory.researcher(is_site_admin=True).id, factory.researcher(study=study).id
    number = study.id

    def change() -> None:
        here = db.session.get_one(type(study), number)
        acting.elevate(db.session(), by_number(boss), by_number(plain), here)

    assert at_once(app, change, change) == 1
    db.session.rollback()
    assert db.session.scalars(db.select(StudyRole.role)).all() == ["study_admin"]


def test_an_actor_who_lost_the_role_meanwhile_is_refused(app: Flask, factory: Factory):
    """PERM-2."""
    study = factory.study()
    me, target = factory.researcher(study=study, role=Role.STUDY_ADMIN), factory.researcher(study=study)
    factory.role(me, study, Role.STUDY_RESEARCHER)
    with pytest.raises(ActRefused):
        acting.remove_role(db.session(), me, target, study)


def test_somebody_invited_has_a_role_and_no_usable_password(app: Flask, factory: Factory):
    """PORTAL-191: the name in the spelling that was typed, unique ignoring case."""
    now = this_hour()
    study = factory.study()
    me = factory.researcher("leader", study=study, role=Role.STUDY_ADMIN)
    invited, token = acting.invite(db.session(), me, "New.Person-1", now, study=study, role=Role.STUDY_VIEWER)
    db.session.commit()
    assert not invited.has_password
    for guess in ("", "A" * 43, token):
        assert not verify_password(guess, invited.password_hash)
    assert db.session.scalars(db.select(StudyRole.role).filter_by(researcher_id=invited.id)).all() == ["study_viewer"]
    assert Visitor(app).sign_in("New.Person-1", "anything").location == "/"
    with pytest.raises(NameTaken):
        acting.invite(db.session(), me, "new.person-1", now, study=study)
    for wrong in ("four", "has space", "ünsal", "x" * 33, "", "a/b/c/d"):
        with pytest.raises(ValueError):
            acting.invite(db.session(), me, wrong, now, study=study)
    db.session.rollback()
    actions = set(db.session.scalars(db.select(AuditRecord.action).filter_by(actor_name="leader")))
    assert {"researcher.invite", "researcher.link", "study.grant"} <= actions
    assert token not in str([row.detail for row in db.session.scalars(db.select(AuditRecord))])


def test_a_study_administrator_invites_to_own_studies_alone(app: Flask, factory: Factory):
    """PERM-60."""
    now = this_hour()
    ours, others = factory.study(), factory.study()
    me = factory.researcher(study=ours, role=Role.STUDY_ADMIN)
    for study in (None, others):
        with pytest.raises(ActRefused):
            acting.invite(db.session(), me, "somebody", now, study=study)
    boss = factory.researcher(is_site_admin=True)
    acting.invite(db.session(), boss, "somebody", now, study=None)


def test_a_link_works_once_for_72_hours_and_is_stored_as_a_hash(app: Flask, factory: Factory):
    """PORTAL-191."""
    now = this_hour()
    boss = factory.researcher(is_site_admin=True)
    invited, token = acting.invite(db.session(), boss, "somebody", now, study=None)
    db.session.commit()
    link = link_of(db.session(), token)
    assert link is not None and token.encode() not in link.token_hash
    minute = timedelta(minutes=1)
    assert timedelta(hours=72) == VALID
    assert state_of_link(link, now + VALID - minute) is LinkState.OPEN
    assert state_of_link(link, now + VALID) is LinkState.EXPIRED
    use_link(db.session(), link, "Correct horse 1!", now + minute)
    db.session.commit()
    assert invited.has_password and not invited.must_change_password
    assert state_of_link(link, now + minute) is LinkState.USED
    with pytest.raises(ValueError):
        use_link(db.session(), link, "Another horse 2!", now + minute)


def test_what_withdraws_a_link(app: Flask, factory: Factory):
    """PORTAL-191: by hand, a newer link, a new password, deactivating."""
    now = this_hour()
    boss, target = factory.researcher(is_site_admin=True), factory.researcher()
    session = db.session()

    def again() -> AccountLink:
        link = link_of(session, acting.new_link(session, boss, target, now))
        assert link is not None and state_of_link(link, now) is LinkState.OPEN
        return link

    first = again()
    second = again()
    assert state_of_link(first, now) is LinkState.WITHDRAWN
    assert acting.end_links(session, boss, target, now)
    assert not acting.end_links(session, boss, target, now)
    third = again()
    acting.reset_password(session, boss, target, now)
    fourth = again()
    acting.set_active(session, boss, target, False)
    session.commit()
    acting.set_active(session, boss, target, True)
    session.commit()
    for link in (second, third, fourth):
        assert state_of_link(link, now) is LinkState.WITHDRAWN


def test_a_new_password_ends_sessions_and_lifts_the_lock(app: Flask, factory: Factory):
    """PORTAL-29, PORTAL-193."""
    now = this_hour()
    study = factory.study()
    me, target = factory.researcher(study=study, role=Role.STUDY_ADMIN), factory.researcher(study=study)
    visitor, source = Visitor(app, target), address_source("192.0.2.1")
    for _ in range(10):
        note_failure(db.session(), target.username, source, now)
    assert is_locked(db.session(), target.username, source, now)
    password = acting.reset_password(db.session(), me, target, now)
    db.session.commit()
    assert not is_locked(db.session(), target.username, source, now)
    assert not visitor.is_signed_in and target.must_change_password
    assert Visitor(app).sign_in(target.username, password).location == "/choose_study"


def test_deleting_keeps_the_name_in_records_and_keys_without_an_owner(app: Flask, factory: Factory):
    """PORTAL-194: only an inactive account, whose keys then open nothing."""
    study, boss = factory.study(), factory.researcher(is_site_admin=True)
    target = factory.researcher("leaver", study=study)
    key = factory.api_key(target)
    db.session.add(DataAccessRecord(researcher_id=target.id, username="leaver", study_id=study.id, parameters={}))
    Visitor(app, target)
    with pytest.raises(ActRefused):
        acting.delete_researcher(db.session(), boss, target)
    acting.set_active(db.session(), boss, target, False)
    acting.delete_researcher(db.session(), boss, target)
    db.session.commit()
    assert db.session.scalars(db.select(Researcher.username)).all() == [boss.username]
    assert db.session.scalars(db.select(StudyRole)).all() == db.session.scalars(db.select(PortalSession)).all() == []
    assert db.session.scalars(db.select(DataAccessRecord.username)).all() == ["leaver"]
    assert db.session.scalars(db.select(ApiKey.researcher_id)).all() == [None]
    answer = app.test_client().post("/get-data/v1", data=key | {"study_id": study.object_id})
    assert answer.status_code == 403


def test_a_study_keeps_its_roles_when_its_last_administrator_leaves(app: Flask, factory: Factory):
    """PERM-62: site administrators are told which studies these are."""
    study, boss = factory.study(), factory.researcher(is_site_admin=True)
    leader, plain = factory.researcher(study=study, role=Role.STUDY_ADMIN), factory.researcher(study=study)
    assert studies_without_admin(db.session()) == []
    acting.set_active(db.session(), boss, leader, False)
    db.session.commit()
    assert studies_without_admin(db.session()) == [study]
    rows = set(db.session.scalars(db.select(StudyRole.researcher_id)))
    assert rows == {leader.id, plain.id}
