"""The table of capabilities and roles, and the function that asks it (PERM-90, CLAR-8)."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from core.access import PURGE_ROLES, TABLE, UNKNOWN, Capability, Outcome, Requester, Role, Scope, decide


@dataclass(frozen=True)
class SomeStudy:
    """A study, as far as the decision looks at it."""

    id: int = 1
    hidden_at: datetime | None = None


@dataclass(frozen=True)
class SomeParticipant:
    """A participant, as far as the decision looks at it."""

    study_id: int = 1


STUDY, HIDDEN = SomeStudy(), SomeStudy(hidden_at=datetime(2026, 1, 1, tzinfo=UTC))
SITE = Requester(is_site_admin=True)
STRANGER = Requester(study_roles={2: Role.STUDY_ADMIN})

# The roles of permissions.md, by the first letter: site, admin, res(earcher), data analyst (D), viewer; K: API keys.
PERM_90 = {
    "sardvK": ["study.view"],
    "sardv": ["participant.view", "answers.read", "forest.log", "measures.view"],
    "sardK": ["data.download", "data.histories", "statistics.read"],
    "sard": ["export.create"],
    "sar": [
        "study.export",
        "participant.create",
        "participant.fields",
        "participant.reset_password",
        "participant.reset_device",
        "participant.easy_enrollment",
        "participant.purge",
        "participant.withdraw",
        "participant.pause",
        "participant.test",
        "participant.new_phone",
        "participant.retire",
        "participant.push",
        "survey.edit",
        "intervention.edit",
        "field.edit",
        "recordings.play",
        "notes.edit",
        "alerts.manage",
    ],
    "sad": ["forest.download"],
    "sa": [
        "study.app_settings",
        "study.import",
        "study.rename",
        "study.timezone",
        "study.security",
        "study.easy_enrollment",
        "study.status",
        "audit.study",
        "processing.retry",
        "webhook.manage",
        "location.view",
        "relation.add",
        "relation.remove",
        "relation.elevate",
        "researcher.list",
        "researcher.create",
        "researcher.set_password",
        "researcher.reset_mfa",
    ],
    "s": [
        "study.create",
        "study.hide",
        "study.unhide",
        "study.stop",
        "study.end_date",
        "study.forest_switch",
        "participant.unretire",
        "participant.experiments",
        "forest.run",
        "forest.nightly",
        "relation.demote",
        "researcher.delete",
        "researcher.deactivate",
        "researcher.site_admin",
        "push_credentials",
        "system.status",
        "downtime",
        "audit.all",
    ],
}
LETTERS = {
    "a": Role.STUDY_ADMIN,
    "r": Role.STUDY_RESEARCHER,
    "d": Role.STUDY_ANALYST,
    "v": Role.STUDY_VIEWER,
}
ROWS = [(Capability(name), who) for who, names in PERM_90.items() for name in names]


def outcome(actor: Requester, capability: Capability) -> Outcome:
    return decide(actor, capability, STUDY).outcome


def test_every_capability_has_its_row():
    """PERM-90: what has no row here is everybody's own account."""
    assert set(TABLE) == set(Capability)
    own = {capability for capability, rule in TABLE.items() if rule.scope is Scope.OWN}
    assert {capability for capability, _ in ROWS} == set(Capability) - own


@pytest.mark.parametrize(("capability", "who"), ROWS)
def test_each_role_has_the_capabilities_of_the_table_and_no_others(capability: Capability, who: str):
    """CLAR-21, PERM-90, PERM-94: exports of a study are not among what viewers have."""
    allowed = {letter for letter, role in LETTERS.items() if _may(Requester(study_roles={1: role}), capability)}
    assert allowed == set(who) & set(LETTERS)
    assert _may(SITE, capability)
    if TABLE[capability].scope is Scope.STUDY:
        assert outcome(STRANGER, capability) is Outcome.FORBIDDEN


@pytest.mark.parametrize(("capability", "who"), ROWS)
def test_a_key_does_only_what_is_open_to_keys_and_never_more_than_its_owner(capability: Capability, who: str):
    """PERM-37, PERM-90, PERM-94: a viewer's key gives nothing."""
    allowed = {
        key for key, role in LETTERS.items() if _may(Requester(study_roles={1: role}, uses_key=True), capability)
    }
    assert allowed == (set(who) & set(LETTERS) - {"v"} if "K" in who else set())
    assert _may(Requester(is_site_admin=True, uses_key=True), capability) == ("K" in who)


@pytest.mark.parametrize(("least", "roles"), [("study_researcher", "sar"), ("study_admin", "sa"), ("site_admin", "s")])
def test_a_setting_says_who_may_purge(least: str, roles: str):
    """PERM-73: it narrows, and never opens a purge to keys or to those who only read."""
    purge, may = Capability.PARTICIPANT_PURGE, PURGE_ROLES[least]
    people = {letter: Requester(study_roles={1: role}, may_purge=may) for letter, role in LETTERS.items()}
    people["s"] = Requester(is_site_admin=True, may_purge=may)
    assert {letter for letter, person in people.items() if _may(person, purge)} == set(roles)
    assert not any(_may(replace(person, uses_key=True), purge) for person in people.values())


def test_ones_own_account_is_everybodys():
    """PERM-90."""
    for capability, rule in TABLE.items():
        if rule.scope is Scope.OWN:
            assert decide(Requester(), capability).is_allowed


def test_what_is_hidden_or_unknown_is_not_there_for_anybody():
    """PERM-50: except that a site administrator may show a hidden study again."""
    for capability, rule in TABLE.items():
        if rule.scope is Scope.STUDY:
            may_show = capability is Capability.STUDY_UNHIDE
            assert decide(SITE, capability, HIDDEN).is_allowed == may_show
            assert decide(SITE, capability).outcome is Outcome.NOT_FOUND
            admin = Requester(study_roles={1: Role.STUDY_ADMIN})
            assert decide(admin, capability, HIDDEN).outcome is Outcome.NOT_FOUND


def test_a_participant_is_looked_at_after_the_role_and_before_the_capability():
    """PERM-19: nobody without a role learns what is inside a study."""
    viewer = Requester(study_roles={1: Role.STUDY_VIEWER})
    for participant in (UNKNOWN, SomeParticipant(study_id=2)):
        assert decide(STRANGER, Capability.PARTICIPANT_VIEW, STUDY, participant).outcome is Outcome.FORBIDDEN
        assert decide(viewer, Capability.PARTICIPANT_RETIRE, STUDY, participant).outcome is Outcome.NOT_FOUND
    assert decide(viewer, Capability.PARTICIPANT_RETIRE, STUDY, SomeParticipant()).outcome is Outcome.FORBIDDEN
    assert decide(viewer, Capability.PARTICIPANT_VIEW, STUDY, SomeParticipant()).is_allowed


def test_a_refusal_says_why():
    """CLAR-8."""
    assert decide(STRANGER, Capability.STUDY_VIEW, STUDY).reason == "This account has no role in the study."
    assert decide(SITE, Capability.STUDY_VIEW).reason == "There is no such study."


def _may(actor: Requester, capability: Capability) -> bool:
    return outcome(actor, capability) is Outcome.ALLOWED
