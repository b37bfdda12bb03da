"""What a researcher may do to another one: each row of PERM-60, and PERM-61 to PERM-63."""

from dataclasses import replace

import pytest

from core.access import Outcome, Role
from core.accounts.rules.acting import ABOUT_STUDY, LAST, Act, Person, may_act, may_give, must_confirm

OURS, OTHERS, SECOND = 1, 2, 3
A, R, D, V = Role.STUDY_ADMIN, Role.STUDY_RESEARCHER, Role.STUDY_ANALYST, Role.STUDY_VIEWER


def person(number: int, roles: dict[int, Role] | None = None, **more: object) -> Person:
    """Somebody whose roles are all current."""
    return replace(Person(number, roles=roles or {}, all_roles=roles or {}), **more)  # type: ignore[arg-type]


SITE = person(1, is_site_admin=True)
ADMIN = person(2, {OURS: A, SECOND: A})
TARGETS = {
    "plain": person(10, {OURS: R}),
    "viewer": person(11, {OURS: V}),
    "analyst": person(12, {OURS: D}),
    "fellow admin": person(13, {OURS: A}),
    "plain here, admin there": person(14, {OURS: R, OTHERS: A}),
    "plain here and there": person(15, {OURS: R, OTHERS: R}),
    "plain in my second": person(16, {SECOND: R}),
    "stranger": person(17, {OTHERS: R}),
    "nowhere": person(18),
    "site admin": person(19, is_site_admin=True),
    "site admin with a role": person(20, {OURS: R}, is_site_admin=True),
    "ended here": replace(person(21), all_roles={OURS: R}),
    "ended here, works there": Person(22, roles={OTHERS: R}, all_roles={OURS: R, OTHERS: R}),
    "ended admin": replace(person(23), all_roles={OURS: A}),
    "inactive": person(24, {OURS: R}, is_active=False),
}
PLAIN = {"plain", "viewer", "analyst", "inactive"}
HERE = PLAIN | {"plain here, admin there", "plain here and there"}
LISTED = HERE | {"fellow admin", "plain in my second", "site admin with a role"}
ENDED = {"ended here", "ended here, works there", "ended admin"}

# On whom a study administrator may act, by the column "ours, study admin" of PERM-60.
STUDY_ADMIN_MAY = {
    Act.OPEN: LISTED | ENDED,
    Act.ADD: {"plain in my second", "nowhere", "ended here", "ended admin"},
    Act.CHANGE: HERE,
    Act.REMOVE: HERE | {"ended here", "ended here, works there"},
    Act.ELEVATE: HERE,
    Act.DEMOTE: set(),
    Act.SET_PASSWORD: (PLAIN | {"plain here and there", "plain in my second"}),
    Act.RESET_MFA: (PLAIN | {"plain here and there", "plain in my second"}),
    Act.DEACTIVATE: set(),
    Act.ACTIVATE: set(),
    Act.DELETE: set(),
    Act.MAKE_SITE_ADMIN: set(),
    Act.UNMAKE_SITE_ADMIN: set(),
}
# The same for a site administrator; where the target's state makes the act impossible, nobody may.
SITE_ADMIN_MAY = {
    Act.OPEN: set(TARGETS),
    Act.ADD: set(TARGETS) - HERE - {"fellow admin", "site admin with a role"},
    Act.CHANGE: HERE | {"site admin with a role"},
    Act.REMOVE: HERE | {"fellow admin", "site admin with a role"} | ENDED,
    Act.ELEVATE: HERE,
    Act.DEMOTE: {"fellow admin"},
    Act.SET_PASSWORD: set(TARGETS),
    Act.RESET_MFA: set(TARGETS),
    Act.DEACTIVATE: set(TARGETS),
    Act.ACTIVATE: set(TARGETS),
    Act.DELETE: {"inactive"},
    Act.MAKE_SITE_ADMIN: set(TARGETS) - {"inactive"},
    Act.UNMAKE_SITE_ADMIN: set(TARGETS),
}


def allowed(actor: Person, act: Act) -> set[str]:
    study = OURS if act in ABOUT_STUDY else None
    return {name for name, target in TARGETS.items() if may_act(actor, act, target, study).is_allowed}


@pytest.mark.parametrize("act", Act)
def test_a_study_administrator_acts_on_the_people_of_perm_60(act: Act):
    """PERM-60, PORTAL-190."""
    assert allowed(ADMIN, act) == STUDY_ADMIN_MAY[act]


@pytest.mark.parametrize("act", Act)
def test_a_site_administrator_acts_on_everybody_where_it_means_something(act: Act):
    """PERM-60, PERM-61."""
    assert allowed(SITE, act) == SITE_ADMIN_MAY[act]


@pytest.mark.parametrize("act", [act for act in Act if act is not Act.OPEN])
@pytest.mark.parametrize("roles", [{}, {OURS: R}, {OURS: V}, {OURS: D}, {OTHERS: A}])
def test_nobody_else_acts_on_anybody_in_the_study(act: Act, roles: dict[int, Role]):
    """PERM-60, PERM-94: narrow roles have no right over others; an administrator of another study has none here."""
    actor = person(3, roles)
    if act in ABOUT_STUDY or OTHERS not in roles:
        assert allowed(actor, act) == set()


@pytest.mark.parametrize("act", [act for act in Act if act is not Act.OPEN])
@pytest.mark.parametrize("actor", [SITE, ADMIN])
def test_nobody_acts_on_themselves(act: Act, actor: Person):
    """PERM-61, PERM-63."""
    decision = may_act(actor, act, actor, OURS if act in ABOUT_STUDY else None)
    assert decision.outcome is Outcome.FORBIDDEN


def test_an_account_out_of_sight_is_not_found():
    """PERM-60: opening somebody who is not in the list."""
    assert may_act(ADMIN, Act.OPEN, TARGETS["stranger"]).outcome is Outcome.NOT_FOUND


def test_the_last_site_administrator_stays():
    """PERM-61, PORTAL-195."""
    target = TARGETS["site admin"]
    for act in (Act.DEACTIVATE, Act.UNMAKE_SITE_ADMIN):
        assert may_act(SITE, act, target, is_last_site_admin=True).reason == LAST
        assert may_act(SITE, act, target).is_allowed
    inactive = replace(target, is_active=False)
    assert may_act(SITE, Act.DELETE, inactive, is_last_site_admin=True).reason == LAST


def test_acting_on_a_site_administrator_asks_for_the_own_password():
    """PERM-61, PORTAL-195."""
    for act in set(Act) - ABOUT_STUDY - {Act.OPEN}:
        assert must_confirm(act, TARGETS["site admin"])
        assert must_confirm(act, TARGETS["plain"]) == (act is Act.MAKE_SITE_ADMIN)


def test_roles_that_can_be_given_in_place_of_each():
    """PERM-60: from each role to each other, by a study administrator and by a site administrator."""
    for target, by_admin, by_site in (
        ("plain", {A, R, D, V}, {A, R, D, V}),
        ("viewer", {A, R, D, V}, {A, R, D, V}),
        ("fellow admin", set(), {A, R, D, V}),
        ("stranger", set(), {A, R, D, V}),
        ("nowhere", {A, R, D, V}, {A, R, D, V}),
        ("site admin", set(), {R, D, V}),
        ("site admin with a role", set(), {R, D, V}),
        ("ended here, works there", set(), {A, R, D, V}),
    ):
        for actor, may in ((ADMIN, by_admin), (SITE, by_site)):
            given = {role for role in (A, R, D, V) if may_give(actor, TARGETS[target], OURS, role).is_allowed}
            assert given == may, (target, actor)


def test_an_act_about_a_study_names_one():
    with pytest.raises(ValueError):
        may_act(SITE, Act.ADD, TARGETS["nowhere"])
    with pytest.raises(ValueError):
        may_act(SITE, Act.DELETE, TARGETS["nowhere"], OURS)
