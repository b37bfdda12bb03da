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


STORED_ROLES = (Role.STUDY_ADMIN, Role.STUDY_RESEARCHER, Role.STUDY_ANALYST, Role.STUDY_VIEWER)
"""Roles in a study that can be given, from the widest to the narrowest."""

PLAIN_ROLES = (Role.STUDY_RESEARCHER, Role.STUDY_ANALYST, Role.STUDY_VIEWER)
"""Roles in a study without any right over its other researchers."""


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

    MEASURES_VIEW = "measures.view"
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
    """One row of the table.

    Says who may do it, what it is in plain words, and whether an API key of such a person may do it too.
    """

    scope: Scope
    roles: frozenset[Role]
    words: str
    is_open_to_keys: bool = False


_EVERYBODY = frozenset({Role.RESEARCHER})
_SITE = frozenset({Role.SITE_ADMIN})
_ADMINS = _SITE | {Role.STUDY_ADMIN}
_STAFF = _ADMINS | {Role.STUDY_RESEARCHER}
_ANALYSTS = _STAFF | {Role.STUDY_ANALYST}
_READERS = _ANALYSTS | {Role.STUDY_VIEWER}


def _rows(
    scope: Scope, roles: frozenset[Role], rows: dict[Capability, str], *, is_open_to_keys: bool = False
) -> dict[Capability, Rule]:
    return {capability: Rule(scope, roles, words, is_open_to_keys) for capability, words in rows.items()}


C = Capability
TABLE: dict[Capability, Rule] = {
    **_rows(Scope.OWN, _EVERYBODY, {C.OWN_STUDIES: "List one's own studies"}, is_open_to_keys=True),
    **_rows(
        Scope.OWN,
        _EVERYBODY,
        {
            C.OWN_PASSWORD: "Change one's own password",
            C.OWN_MFA: "Set up one's own second factor",
            C.OWN_KEYS: "Make and disable one's own API keys",
            C.OWN_SESSIONS: "See and end one's own sessions",
        },
    ),
    # Everybody with a role in the study.
    **_rows(
        Scope.STUDY,
        _READERS,
        {C.STUDY_VIEW: "See the study: participants, figures, app settings, team"},
        is_open_to_keys=True,
    ),
    **_rows(
        Scope.STUDY,
        _READERS,
        {
            C.PARTICIPANT_VIEW: "See a participant's page and history",
            C.ANSWERS_READ: "Read answers to surveys",
            C.MEASURES_VIEW: "See daily measures",
            C.FOREST_LOG: "See which Forest analyses ran",
        },
    ),
    **_rows(
        Scope.STUDY,
        _ANALYSTS,
        {
            C.DATA_DOWNLOAD: "Download participants' data",
            C.DATA_HISTORIES: "Download histories of participants' phones",
            C.STATISTICS_READ: "Download daily measures and statistics",
        },
        is_open_to_keys=True,
    ),
    **_rows(Scope.STUDY, _ANALYSTS, {C.EXPORT_CREATE: "Make exports of a study"}),
    **_rows(
        Scope.STUDY,
        _STAFF,
        {
            C.STUDY_EXPORT: "Download the participants' table and the settings file",
            C.SURVEY_EDIT: "Create, change and delete surveys",
            C.INTERVENTION_EDIT: "Add, rename and delete interventions",
            C.FIELD_EDIT: "Add, rename and delete custom fields",
            C.RECORDINGS_PLAY: "Play participants' audio recordings",
            C.NOTES_EDIT: "Write notes on participants",
            C.ALERTS_MANAGE: "Manage alerts",
            C.PARTICIPANT_CREATE: "Add participants",
            C.PARTICIPANT_FIELDS: "Edit participants' fields, dates and external ids",
            C.PARTICIPANT_PUSH: "Send a survey to a participant by hand",
            C.PARTICIPANT_RESET_PASSWORD: "Make a new password for a participant",
            C.PARTICIPANT_RESET_DEVICE: "Let a participant register another phone",
            C.PARTICIPANT_EASY_ENROLLMENT: "Let a participant register with any password",
            C.PARTICIPANT_RETIRE: "Retire participants, and undo it",
            C.PARTICIPANT_WITHDRAW: "Record a withdrawal or completion",
            C.PARTICIPANT_PAUSE: "Pause participants",
            C.PARTICIPANT_TEST: "Mark participants as test participants",
            C.PARTICIPANT_NEW_PHONE: "Prepare a new phone for a participant",
        },
    ),
    # Study administrators.
    **_rows(
        Scope.STUDY,
        _ADMINS,
        {
            C.STUDY_APP_SETTINGS: "Change app settings",
            C.STUDY_IMPORT: "Import a settings file",
            C.STUDY_RENAME: "Rename the study",
            C.STUDY_TIMEZONE: "Change the study's time zone",
            C.STUDY_SECURITY: "Change the rules for researchers' passwords",
            C.STUDY_EASY_ENROLLMENT: "Let all phones register with any password",
            C.STUDY_STATUS: "See how uploads are processed",
            C.AUDIT_STUDY: "Read who changed what in the study",
            C.WEBHOOK_MANAGE: "Manage webhooks",
            C.LOCATION_VIEW: "See where participants were, such as the track of a day",
            C.PROCESSING_RETRY: "Try failed uploads and processing again",
        },
    ),
    **_rows(
        Scope.STUDY,
        _ADMINS | {Role.STUDY_ANALYST},
        {C.FOREST_DOWNLOAD: "Download inputs and results of Forest analyses"},
    ),
    # On which researchers they may do it: `core/accounts/rules/acting.py` (PERM-60).
    **_rows(
        Scope.STUDY,
        _ADMINS,
        {
            C.RELATION_ADD: "Give people a role in the study",
            C.RELATION_REMOVE: "Change or remove the role of researchers, analysts and viewers",
            C.RELATION_ELEVATE: "Make researchers administrators of the study",
        },
    ),
    **_rows(
        Scope.SITE,
        _ADMINS,
        {
            C.RESEARCHER_LIST: "See accounts: their own studies' people; site administrators: all",
            C.RESEARCHER_CREATE: "Invite people",
            C.RESEARCHER_SET_PASSWORD: "Make a one-time password or reset link for others",
            C.RESEARCHER_RESET_MFA: "Remove the second factor of others",
        },
    ),
    # DATA_DELETION_USERTYPE may narrow it to administrators (PERM-73).
    **_rows(Scope.STUDY, _STAFF, {C.PARTICIPANT_PURGE: "Delete all data of a participant"}),
    # Site administrators alone.
    **_rows(
        Scope.STUDY,
        _SITE,
        {
            C.STUDY_HIDE: "Hide the study",
            C.STUDY_UNHIDE: "Bring a hidden study back",
            C.STUDY_STOP: "Stop and reopen the study",
            C.STUDY_END_DATE: "Set the study's last day",
            C.STUDY_FOREST_SWITCH: "Switch Forest on and off",
            C.FOREST_RUN: "Start and cancel Forest analyses",
            C.FOREST_NIGHTLY: "Switch nightly Forest analyses on and off",
            C.PARTICIPANT_UNRETIRE: "Bring retired participants back later",
            C.PARTICIPANT_EXPERIMENTS: "Switch experiments of a participant",
            C.RELATION_DEMOTE: "Take the administrator role in the study from somebody",
        },
    ),
    **_rows(
        Scope.SITE,
        _SITE,
        {
            C.STUDY_CREATE: "Create studies",
            C.PUSH_CREDENTIALS: "Store credentials for push notifications",
            C.SYSTEM_STATUS: "See the state of the system",
            C.DOWNTIME: "Switch downtime on and off",
            C.AUDIT_ALL: "Read who changed what on the whole site",
            C.RESEARCHER_DELETE: "Delete deactivated accounts",
            C.RESEARCHER_DEACTIVATE: "Deactivate and activate accounts",
            C.RESEARCHER_SITE_ADMIN: "Make and unmake site administrators",
        },
    ),
}

LIST_CAPABILITIES = frozenset({C.OWN_STUDIES, C.STUDY_VIEW})
"""What a key for lists alone may do: no data of participants (PERM-96)."""


PURGE_ROLES = {"study_researcher": _STAFF, "study_admin": _ADMINS, "site_admin": _SITE}
"""Who may purge, by the values of DATA_DELETION_USERTYPE (PERM-73)."""


STUDY_WIDE = frozenset(
    {
        C.STUDY_APP_SETTINGS,
        C.STUDY_IMPORT,
        C.STUDY_RENAME,
        C.STUDY_TIMEZONE,
        C.STUDY_SECURITY,
        C.STUDY_EASY_ENROLLMENT,
        C.STUDY_STATUS,
        C.WEBHOOK_MANAGE,
        C.ALERTS_MANAGE,
        C.SURVEY_EDIT,
        C.INTERVENTION_EDIT,
        C.FIELD_EDIT,
    }
)
"""What concerns all participants. A role that is limited to a site includes it only if it says so (PERM-95)."""


@dataclass(frozen=True)
class SiteLimit:
    """The part of a study to which a role is limited: participants with one of these values of a custom field.

    `may_change_study`: the role may still change what concerns all participants, `STUDY_WIDE` (PERM-95).
    """

    field_id: int
    values: tuple[str, ...]
    may_change_study: bool = False


@dataclass(frozen=True)
class Requester:
    """Who asks: a researcher, or a program with a researcher's API key.

    `study_roles` maps the number of a study to the role in it, of studies that are not hidden and roles that have not
    ended. `limits` are those of roles that are limited to a site, by the number of the study; a site administrator has
    none. `key_study` is the only study that the key is for, None for all of its owner's; `key_is_for_lists`: it gives
    no data of participants (PERM-96). `may_purge` are the roles that may purge participants by the server's setting
    (PERM-73).
    """

    is_site_admin: bool = False
    study_roles: Mapping[int, Role] = field(default_factory=dict)
    uses_key: bool = False
    may_purge: frozenset[Role] = _STAFF
    key_study: int | None = None
    key_is_for_lists: bool = False
    limits: Mapping[int, SiteLimit] = field(default_factory=dict)

    def roles_in(self, study_id: int | None) -> frozenset[Role]:
        """The roles that count in a study; without one, those on the site and in any study."""
        if self.key_study is not None and study_id not in (self.key_study, None):
            return frozenset({Role.RESEARCHER})
        if study_id is None:
            roles = set(self.study_roles.values())
        else:
            roles = {self.study_roles[study_id]} if study_id in self.study_roles else set()
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
    the role has the capability. So nobody without a role learns what is inside a study. Participants of other sites
    than the actor's are not found by the session already (`core.limits`), and so are unknown here.
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
    limit = actor.limits.get(study.id)
    if limit and not limit.may_change_study and capability in STUDY_WIDE:
        return Decision(Outcome.FORBIDDEN, "This concerns the whole study, and this account is limited to a site.")
    return _by_role(actor, capability, roles)


def _is_visible(study: StudyFacts, actor: Requester, capability: Capability) -> bool:
    """Hidden studies exist for nobody, except that a site administrator may show them again (PERM-50)."""
    return study.hidden_at is None or (capability is Capability.STUDY_UNHIDE and actor.is_site_admin)


def _by_role(actor: Requester, capability: Capability, roles: frozenset[Role]) -> Decision:
    rule = TABLE[capability]
    if actor.uses_key and (not rule.is_open_to_keys or roles == {Role.RESEARCHER, Role.STUDY_VIEWER}):
        return Decision(Outcome.FORBIDDEN, "An API key of this account cannot do this.")
    if actor.key_is_for_lists and capability not in LIST_CAPABILITIES:
        return Decision(Outcome.FORBIDDEN, "This API key is for lists alone.")
    allowed = rule.roles & actor.may_purge if capability is Capability.PARTICIPANT_PURGE else rule.roles
    if not roles & allowed:
        return Decision(Outcome.FORBIDDEN, "The role of this account does not include this.")
    return ALLOWED
