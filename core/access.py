"""Who may do what: one table of capabilities and roles, and one function that asks it (PERM-4, CLAR-8).

Pages, endpoints of programs and templates ask `decide`. What is not listed is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum, auto
from typing import Final, Protocol


class Role(StrEnum):
    """What a researcher is: on the site, or in one study."""

    RESEARCHER = "researcher"
    """Signed in; everybody who is has this role on the site."""
    SITE_ADMIN = "site_admin"
    """A role on the site that counts in every study, without a relation to it (PERM-1)."""
    STUDY_ADMIN = "study_admin"
    STUDY_RESEARCHER = "study_researcher"
    STUDY_ANALYST = "study_analyst"
    """Reads pages and downloads data, changes nothing (PERM-94)."""
    STUDY_VIEWER = "study_viewer"
    """Reads pages alone: no downloads, no API (PERM-94)."""


STORED_ROLES = (Role.STUDY_ADMIN, Role.STUDY_RESEARCHER)
"""Roles in a study that can be given today. The narrow ones come with the page that gives them."""


class Scope(Enum):
    """What a capability is about: one's own account, the site, or one study."""

    OWN = "own"
    SITE = "site"
    STUDY = "study"


class Capability(StrEnum):
    """Something that a person or a program may be allowed to do; by the names of PERM-90."""

    OWN_STUDIES = "own.studies"
    OWN_PASSWORD = "own.password"  # noqa: S105  a name
    OWN_MFA = "own.mfa"
    OWN_KEYS = "own.keys"
    OWN_SESSIONS = "own.sessions"

    STUDY_VIEW = "study.view"
    STUDY_EXPORT = "study.export"
    STUDY_APP_SETTINGS = "study.app_settings"
    STUDY_IMPORT = "study.import"
    STUDY_RENAME = "study.rename"
    STUDY_TIMEZONE = "study.timezone"
    STUDY_SECURITY = "study.security"
    STUDY_EASY_ENROLLMENT = "study.easy_enrollment"
    STUDY_STATUS = "study.status"
    STUDY_HIDE = "study.hide"
    STUDY_UNHIDE = "study.unhide"
    STUDY_STOP = "study.stop"
    STUDY_END_DATE = "study.end_date"
    STUDY_FOREST_SWITCH = "study.forest_switch"
    AUDIT_STUDY = "audit.study"
    WEBHOOK_MANAGE = "webhook.manage"

    PARTICIPANT_VIEW = "participant.view"
    PARTICIPANT_CREATE = "participant.create"
    PARTICIPANT_FIELDS = "participant.fields"
    PARTICIPANT_RESET_PASSWORD = "participant.reset_password"  # noqa: S105  a name
    PARTICIPANT_RESET_DEVICE = "participant.reset_device"
    PARTICIPANT_EASY_ENROLLMENT = "participant.easy_enrollment"
    PARTICIPANT_RETIRE = "participant.retire"
    PARTICIPANT_UNRETIRE = "participant.unretire"
    PARTICIPANT_WITHDRAW = "participant.withdraw"
    PARTICIPANT_PAUSE = "participant.pause"
    PARTICIPANT_TEST = "participant.test"
    PARTICIPANT_NEW_PHONE = "participant.new_phone"
    PARTICIPANT_PUSH = "participant.push"
    PARTICIPANT_PURGE = "participant.purge"
    PARTICIPANT_EXPERIMENTS = "participant.experiments"

    SURVEY_EDIT = "survey.edit"
    INTERVENTION_EDIT = "intervention.edit"
    FIELD_EDIT = "field.edit"
    ANSWERS_READ = "answers.read"
    RECORDINGS_PLAY = "recordings.play"
    NOTES_EDIT = "notes.edit"
    ALERTS_MANAGE = "alerts.manage"
    EXPORT_CREATE = "export.create"
    LOCATION_VIEW = "location.view"

    PROCESSING_RETRY = "processing.retry"
    """Trying kept-aside uploads and failed processing again (CLAR-21)."""
    DATA_DOWNLOAD = "data.download"
    DATA_HISTORIES = "data.histories"
    STATISTICS_READ = "statistics.read"

    FOREST_LOG = "forest.log"
    FOREST_DOWNLOAD = "forest.download"
    FOREST_RUN = "forest.run"
    FOREST_NIGHTLY = "forest.nightly"

    RELATION_ADD = "relation.add"
    RELATION_REMOVE = "relation.remove"
    RELATION_ELEVATE = "relation.elevate"
    RELATION_DEMOTE = "relation.demote"

    RESEARCHER_LIST = "researcher.list"
    RESEARCHER_CREATE = "researcher.create"
    RESEARCHER_SET_PASSWORD = "researcher.set_password"  # noqa: S105  a name
    RESEARCHER_RESET_MFA = "researcher.reset_mfa"
    RESEARCHER_DELETE = "researcher.delete"
    RESEARCHER_DEACTIVATE = "researcher.deactivate"
    RESEARCHER_SITE_ADMIN = "researcher.site_admin"

    STUDY_CREATE = "study.create"
    PUSH_CREDENTIALS = "push_credentials"
    SYSTEM_STATUS = "system.status"
    DOWNTIME = "downtime"
    AUDIT_ALL = "audit.all"


@dataclass(frozen=True)
class Rule:
    """One row of the table: who may do it, and whether an API key of such a person may do it too."""

    scope: Scope
    roles: frozenset[Role]
    is_open_to_keys: bool = False


_SITE = frozenset({Role.SITE_ADMIN})
_ADMINS = _SITE | {Role.STUDY_ADMIN}
_STAFF = _ADMINS | {Role.STUDY_RESEARCHER}
_ANALYSTS = _STAFF | {Role.STUDY_ANALYST}
_READERS = _ANALYSTS | {Role.STUDY_VIEWER}


def _rows(
    scope: Scope, roles: frozenset[Role], *capabilities: Capability, is_open_to_keys: bool = False
) -> dict[Capability, Rule]:
    return dict.fromkeys(capabilities, Rule(scope, roles, is_open_to_keys))


C = Capability
TABLE: dict[Capability, Rule] = {
    **_rows(Scope.OWN, frozenset({Role.RESEARCHER}), C.OWN_STUDIES, is_open_to_keys=True),
    **_rows(Scope.OWN, frozenset({Role.RESEARCHER}), C.OWN_PASSWORD, C.OWN_MFA, C.OWN_KEYS, C.OWN_SESSIONS),
    # Everybody with a role in the study.
    **_rows(Scope.STUDY, _READERS, C.STUDY_VIEW, is_open_to_keys=True),
    **_rows(Scope.STUDY, _READERS, C.PARTICIPANT_VIEW, C.ANSWERS_READ, C.FOREST_LOG),
    **_rows(Scope.STUDY, _ANALYSTS, C.DATA_DOWNLOAD, C.DATA_HISTORIES, C.STATISTICS_READ, is_open_to_keys=True),
    **_rows(Scope.STUDY, _ANALYSTS, C.EXPORT_CREATE),
    **_rows(Scope.STUDY, _STAFF, C.STUDY_EXPORT, C.SURVEY_EDIT, C.INTERVENTION_EDIT, C.FIELD_EDIT),
    **_rows(Scope.STUDY, _STAFF, C.RECORDINGS_PLAY, C.NOTES_EDIT, C.ALERTS_MANAGE),
    **_rows(Scope.STUDY, _STAFF, C.PARTICIPANT_CREATE, C.PARTICIPANT_FIELDS, C.PARTICIPANT_PUSH),
    **_rows(Scope.STUDY, _STAFF, C.PARTICIPANT_RESET_PASSWORD, C.PARTICIPANT_RESET_DEVICE),
    **_rows(Scope.STUDY, _STAFF, C.PARTICIPANT_EASY_ENROLLMENT, C.PARTICIPANT_RETIRE, C.PARTICIPANT_WITHDRAW),
    **_rows(Scope.STUDY, _STAFF, C.PARTICIPANT_PAUSE, C.PARTICIPANT_TEST, C.PARTICIPANT_NEW_PHONE),
    # Study administrators.
    **_rows(Scope.STUDY, _ADMINS, C.STUDY_APP_SETTINGS, C.STUDY_IMPORT, C.STUDY_RENAME, C.STUDY_TIMEZONE),
    **_rows(Scope.STUDY, _ADMINS, C.STUDY_SECURITY, C.STUDY_EASY_ENROLLMENT, C.STUDY_STATUS, C.AUDIT_STUDY),
    **_rows(Scope.STUDY, _ADMINS, C.WEBHOOK_MANAGE, C.LOCATION_VIEW, C.PROCESSING_RETRY),
    **_rows(Scope.STUDY, _ADMINS | {Role.STUDY_ANALYST}, C.FOREST_DOWNLOAD),
    # To which researchers they may do it is limited further by the pages that act on researchers.
    **_rows(Scope.STUDY, _ADMINS, C.RELATION_ADD, C.RELATION_REMOVE, C.RELATION_ELEVATE),
    **_rows(Scope.SITE, _ADMINS, C.RESEARCHER_LIST, C.RESEARCHER_CREATE),
    **_rows(Scope.SITE, _ADMINS, C.RESEARCHER_SET_PASSWORD, C.RESEARCHER_RESET_MFA),
    # DATA_DELETION_USERTYPE may narrow it to administrators (PERM-73).
    **_rows(Scope.STUDY, _STAFF, C.PARTICIPANT_PURGE),
    # Site administrators alone.
    **_rows(Scope.STUDY, _SITE, C.STUDY_HIDE, C.STUDY_UNHIDE, C.STUDY_STOP, C.STUDY_END_DATE),
    **_rows(Scope.STUDY, _SITE, C.STUDY_FOREST_SWITCH, C.FOREST_RUN, C.FOREST_NIGHTLY),
    **_rows(Scope.STUDY, _SITE, C.PARTICIPANT_UNRETIRE, C.PARTICIPANT_EXPERIMENTS, C.RELATION_DEMOTE),
    **_rows(Scope.SITE, _SITE, C.STUDY_CREATE, C.PUSH_CREDENTIALS, C.SYSTEM_STATUS, C.DOWNTIME, C.AUDIT_ALL),
    **_rows(Scope.SITE, _SITE, C.RESEARCHER_DELETE, C.RESEARCHER_DEACTIVATE, C.RESEARCHER_SITE_ADMIN),
}


PURGE_ROLES = {"study_researcher": _STAFF, "study_admin": _ADMINS, "site_admin": _SITE}
"""Who may purge, by the values of DATA_DELETION_USERTYPE (PERM-73)."""


@dataclass(frozen=True)
class Requester:
    """Who asks: a researcher, or a program with a researcher's API key.

    `study_roles` maps the number of a study to the role in it, of studies that are not hidden. `may_purge` are the
    roles that may purge participants by the server's setting (PERM-73).
    """

    is_site_admin: bool = False
    study_roles: Mapping[int, Role] = field(default_factory=dict)
    uses_key: bool = False
    may_purge: frozenset[Role] = _STAFF

    def roles_in(self, study_id: int | None) -> frozenset[Role]:
        """The roles that count in a study; without one, those on the site and in any study."""
        roles = {role for number, role in self.study_roles.items() if study_id in (number, None)}
        roles.add(Role.RESEARCHER)
        if self.is_site_admin:
            roles.add(Role.SITE_ADMIN)
        return frozenset(roles)


class StudyFacts(Protocol):
    """What the decision needs to know of a study."""

    @property
    def id(self) -> int: ...

    @property
    def hidden_at(self) -> datetime | None: ...


class ParticipantFacts(Protocol):
    """What the decision needs to know of a participant."""

    @property
    def study_id(self) -> int: ...


class Unknown(Enum):
    """Stands for something that was asked for by name and does not exist."""

    UNKNOWN = auto()


UNKNOWN: Final = Unknown.UNKNOWN


class Outcome(Enum):
    """What comes of asking. What an actor may not even know of is not found (PERM-19)."""

    ALLOWED = auto()
    NOT_FOUND = auto()
    FORBIDDEN = auto()


@dataclass(frozen=True)
class Decision:
    """An outcome, and the reason in a sentence that may be shown; the reason is empty where it is allowed."""

    outcome: Outcome
    reason: str = ""

    @property
    def is_allowed(self) -> bool:
        return self.outcome is Outcome.ALLOWED


ALLOWED = Decision(Outcome.ALLOWED)


def decide(
    actor: Requester,
    capability: Capability,
    study: StudyFacts | None = None,
    participant: ParticipantFacts | Unknown | None = None,
) -> Decision:
    """Whether the actor may do it, in the study and to the participant that it is about (PERM-19, CLAR-8).

    In this order: the study exists and is not hidden, the actor has a role in it, the participant is of that study,
    the role has the capability. So nobody without a role learns what is inside a study.
    """
    rule = TABLE[capability]
    if rule.scope is not Scope.STUDY:
        return _by_role(actor, capability, actor.roles_in(None))
    if study is None or not _is_visible(study, actor, capability):
        return Decision(Outcome.NOT_FOUND, "There is no such study.")
    roles = actor.roles_in(study.id)
    if roles == {Role.RESEARCHER}:
        return Decision(Outcome.FORBIDDEN, "This account has no role in the study.")
    if isinstance(participant, Unknown) or (participant is not None and participant.study_id != study.id):
        return Decision(Outcome.NOT_FOUND, "There is no such participant in the study.")
    return _by_role(actor, capability, roles)


def _is_visible(study: StudyFacts, actor: Requester, capability: Capability) -> bool:
    """Hidden studies exist for nobody, except that a site administrator may show them again (PERM-50)."""
    return study.hidden_at is None or (capability is Capability.STUDY_UNHIDE and actor.is_site_admin)


def _by_role(actor: Requester, capability: Capability, roles: frozenset[Role]) -> Decision:
    rule = TABLE[capability]
    if actor.uses_key and (not rule.is_open_to_keys or roles == {Role.RESEARCHER, Role.STUDY_VIEWER}):
        return Decision(Outcome.FORBIDDEN, "An API key of this account cannot do this.")
    allowed = rule.roles & actor.may_purge if capability is Capability.PARTICIPANT_PURGE else rule.roles
    if not roles & allowed:
        return Decision(Outcome.FORBIDDEN, "The role of this account does not include this.")
    return ALLOWED
