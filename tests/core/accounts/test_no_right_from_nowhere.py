"""No sequence of allowed actions gives a person a right that nobody gave (PERM-60 to PERM-63)."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from flask import Flask

from core.access import STORED_ROLES, Role
from core.accounts import acting
from core.accounts.acting import ActRefused
from core.accounts.people import people
from core.database import db
from core.models import Researcher, Study, StudyRole
from tests.support.factories import Factory
from tests.support.this_hour import this_hour

STEPS = 300
DAYS = (None, date.today() + timedelta(days=30))

Rights = dict[tuple[int, int], str]


def rights() -> Rights:
    """The role of each person in each study."""
    rows = db.session.execute(db.select(StudyRole.researcher_id, StudyRole.study_id, StudyRole.role))
    return {(person, study): role for person, study, role in rows}


def one_step(chance: random.Random, me: Researcher, target: Researcher, studies: list[Study]) -> Callable[[], object]:
    """One random thing that the person tries."""
    now = this_hour()
    session, role = db.session(), chance.choice(STORED_ROLES)
    own = [study for study in studies if study.id in people(session, [me])[me.id].administered]
    study = chance.choice(own if own and chance.random() < 0.8 else studies)
    name = f"invited.{chance.randrange(10**9)}"
    tries: list[Callable[[], object]] = [
        lambda: acting.give_role(session, me, target, study, role, ends_on=chance.choice(DAYS)),
        lambda: acting.remove_role(session, me, target, study),
        lambda: acting.elevate(session, me, target, study),
        lambda: acting.demote(session, me, target, study),
        lambda: acting.reset_password(session, me, target, now),
        lambda: acting.new_link(session, me, target, now),
        lambda: acting.set_active(session, me, target, chance.random() < 0.5),
        lambda: acting.make_site_admin(session, me, target, chance.random() < 0.5),
        lambda: acting.delete_researcher(session, me, target),
        lambda: acting.invite(session, me, name, now, study=chance.choice([None, study]), role=role),
    ]
    return chance.choice([*tries[:4], *tries, *tries[-1:] * 3])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_walk_of_random_actions_gives_nobody_a_right_that_nobody_gave(
    app: Flask, factory: Factory, quick_passwords: None, seed: int, capsys: pytest.CaptureFixture[str]
):
    """PERM-60, PERM-63: three people try everything on each other, on strangers, and on those whom they invite."""
    chance = random.Random(seed)
    ours, theirs, untouched = studies = [factory.study() for _ in range(3)]
    three = [
        factory.researcher(study=ours, role=Role.STUDY_ADMIN),
        factory.researcher(study=theirs, role=Role.STUDY_ADMIN),
        factory.researcher(study=ours, role=Role.STUDY_VIEWER),
    ]
    factory.role(three[2], untouched, Role.STUDY_RESEARCHER)
    boss = factory.researcher(is_site_admin=True)
    factory.researcher(study=untouched, role=Role.STUDY_ADMIN)
    counts: Counter[str] = Counter()
    for _ in range(STEPS):
        everybody = list(db.session.scalars(db.select(Researcher).order_by(Researcher.id)))
        me, target = chance.choice(three), chance.choice([*three, boss, *everybody])
        before, mine = rights(), people(db.session(), [me])[me.id]
        try:
            one_step(chance, me, target, studies)()
            db.session.commit()
        except ActRefused:
            db.session.rollback()
            counts["refused"] += 1
            assert rights() == before
            continue
        counts["carried out"] += 1
        after = rights()
        changed = {pair for pair in before.keys() | after.keys() if before.get(pair) != after.get(pair)}
        assert {study for _, study in changed} <= mine.administered, "a role in a study of others"
        assert me.id not in {person for person, _ in changed}, "one's own role"
        assert not any(before.get(pair) == Role.STUDY_ADMIN.value for pair in changed), "a fellow administrator"
        assert {pair[1] for pair in changed} <= {ours.id, theirs.id}
    with capsys.disabled():
        print(f" seed {seed}: {dict(counts)}", end="")
    kept = {pair: role for pair, role in rights().items() if pair[1] == untouched.id}
    assert len(kept) == 2, "nobody of the three leads the third study"
    assert db.session.scalars(db.select(Researcher.id).where(Researcher.is_site_admin)).all() == [boss.id]
    assert counts["carried out"] > STEPS / 20


def test_a_password_is_reset_for_nobody_who_leads_a_study(app: Flask, factory: Factory, quick_passwords: None):
    """PERM-60: else the one who resets it would get rights over other studies' people."""
    ours, others = factory.study(), factory.study()
    me = factory.researcher(study=ours, role=Role.STUDY_ADMIN)
    leader = factory.researcher(study=others, role=Role.STUDY_ADMIN)
    factory.role(leader, ours, Role.STUDY_RESEARCHER)
    for change in (acting.reset_password, acting.new_link):
        with pytest.raises(ActRefused):
            change(db.session(), me, leader, this_hour())
        db.session.rollback()
