"""Rows of the audit trail in words, on every page that shows some."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.access import Role
from core.audit.naming import Names
from core.models import AuditRecord
from core.models.audit_record import Action, ActorKind
from core.studies.app_settings import SETTING_RULES

WORDS = {
    Action.STUDY_CREATE: "created the study",
    Action.STUDY_RENAME: "renamed the study",
    Action.STUDY_TIMEZONE: "changed the time zone",
    Action.STUDY_END_DATE: "changed the end date",
    Action.STUDY_SURVEY_EXPIRY: "changed for how long surveys can be answered",
    Action.STUDY_QUIET_HOURS: "changed quiet hours",
    Action.NOTIFICATION_SEND: "sent a survey now to",
    Action.NOTIFICATION_TEXT: "sent a message to participants",
    Action.NOTIFICATION_TEST: "sent a test message",
    Action.SURVEY_TRANSLATE: "saved a survey’s translation",
    Action.STUDY_LANGUAGE_FIELD: "changed the field of languages",
    Action.STUDY_LANGUAGE_SAVE: "saved a language",
    Action.STUDY_LANGUAGE_REMOVE: "removed a language",
    Action.SURVEY_FROM_TEMPLATE: "made a survey from a template",
    Action.TEMPLATE_KEEP: "kept a survey as a template",
    Action.TEMPLATE_REMOVE: "removed a template",
    Action.ALERT_RULE_SAVE: "saved the rule of an alert",
    Action.ALERT_RULE_REMOVE: "removed the rule of an alert",
    Action.ALERT_ACKNOWLEDGE: "acknowledged an alert",
    Action.RESEARCHER_MAIL_ADDRESS: "changed the mail address for alerts",
    Action.OUTGOING_RETRY: "sent an alert again",
    Action.OUTGOING_TEST: "sent a test alert",
    Action.WEBHOOK_CREATE: "made a webhook",
    Action.WEBHOOK_CHANGE: "changed a webhook",
    Action.WEBHOOK_KEY: "replaced the key of a webhook",
    Action.WEBHOOK_ON: "switched on a webhook",
    Action.WEBHOOK_OFF: "switched off a webhook",
    Action.WEBHOOK_DELETE: "deleted a webhook",
    Action.WEBHOOK_TEST: "sent a test to a webhook",
    Action.WEBHOOK_SEND_AGAIN: "sent messages of a webhook again",
    Action.STUDY_STOP: "stopped the study",
    Action.STUDY_REOPEN: "reopened the study",
    Action.STUDY_HIDE: "hid the study",
    Action.STUDY_UNHIDE: "brought the study back",
    Action.STUDY_FOREST: "switched Forest",
    Action.STUDY_NIGHTLY_FOREST: "switched nightly Forest runs",
    Action.FOREST_CREATE: "queued Forest tasks",
    Action.FOREST_CANCEL: "cancelled a Forest task of",
    Action.STUDY_EASY_ENROLLMENT: "switched easy enrolment",
    Action.STUDY_SECURITY: "changed the security rules",
    Action.STUDY_APP_SETTINGS: "changed app settings",
    Action.QUANTITY_DEFAULTS: "changed colours and flags of data quantities",
    Action.STUDY_IMPORT: "imported a settings file",
    Action.STUDY_GRANT: "changed somebody's role",
    Action.INTERVENTION_CREATE: "added an intervention",
    Action.INTERVENTION_RENAME: "renamed an intervention",
    Action.INTERVENTION_DELETE: "deleted an intervention",
    Action.FIELD_CREATE: "added a custom field",
    Action.FIELD_RENAME: "renamed a custom field",
    Action.FIELD_DELETE: "deleted a custom field",
    Action.PARTICIPANT_CREATE: "added participants",
    Action.PARTICIPANT_BATCH: "asked for a batch of participants",
    Action.PARTICIPANT_RENEW_PASSWORDS: "made passwords of a batch",
    Action.PARTICIPANT_RETIRE: "retired",
    Action.PARTICIPANT_UNRETIRE: "undid retiring",
    Action.PARTICIPANT_RESET_DEVICE: "reset the phone of",
    Action.PARTICIPANT_RESET_PASSWORD: "made a new password for",
    Action.PARTICIPANT_BULK_RETIRE: "retired many participants",
    Action.PARTICIPANT_BULK_UNRETIRE: "undid retiring many participants",
    Action.PARTICIPANT_BULK_RESET_DEVICE: "reset the phones of many participants",
    Action.PARTICIPANT_NEW_PHONE: "prepared a new phone for",
    Action.PARTICIPANT_EASY_ENROLLMENT: "switched easy enrolment of",
    Action.PARTICIPANT_FIELDS: "edited fields of",
    Action.PARTICIPANT_BULK_EDIT: "edited many participants",
    Action.PARTICIPANT_UNDO_BULK_EDIT: "undid an edit of many participants",
    Action.PARTICIPANT_EXPORT: "downloaded the participants' table",
    Action.PARTICIPANT_WITHDRAW: "recorded a withdrawal of",
    Action.PARTICIPANT_COMPLETE: "recorded the completion of",
    Action.PARTICIPANT_TAKE_BACK_DEPARTURE: "removed the last day of",
    Action.PARTICIPANT_PAUSE: "paused",
    Action.PARTICIPANT_RESUME: "ended the pause of",
    Action.PARTICIPANT_TEST: "switched the test mark of",
    Action.PARTICIPANT_NOTE: "wrote a note on",
    Action.PARTICIPANT_PURGE: "asked to delete all data of",
    Action.PARTICIPANT_TAKE_BACK_PURGE: "took back the purge of",
    Action.UPLOAD_TRY_AGAIN: "tried a kept-aside upload again of",
    Action.PROCESSING_TRY_AGAIN: "put failed files back into the queue",
    Action.SURVEY_CREATE: "created a survey",
    Action.SURVEY_SAVE: "saved a survey",
    Action.SURVEY_SCHEDULES: "saved the schedules of a survey",
    Action.SURVEY_DRAFT: "began a draft of a survey",
    Action.SURVEY_DISCARD: "discarded the draft of a survey",
    Action.SURVEY_PUBLISH: "published a survey",
    Action.SURVEY_COPY: "copied a survey",
    Action.SURVEY_BRING_IN: "brought questions into the draft of a survey",
    Action.SURVEY_DELETE: "deleted a survey",
    Action.SURVEY_RESTORE: "restored a survey",
    Action.SCORE_SAVE: "saved a score of a survey",
    Action.SCORE_REMOVE: "removed a score of a survey",
    Action.SCORE_COMPUTE: "had a score computed anew",
    Action.RESEARCHER_CREATE: "added the account",
    Action.RESEARCHER_SET_PASSWORD: "set the password of",
    Action.RESEARCHER_ENABLE: "enabled the account",
    Action.RESEARCHER_DISABLE: "disabled the account",
    Action.RESEARCHER_SITE_ADMIN: "changed whether an account is a site administrator:",
    Action.RESEARCHER_INVITE: "invited",
    Action.RESEARCHER_LINK: "made a one-time link for",
    Action.RESEARCHER_LINK_WITHDRAW: "withdrew the one-time link of",
    Action.RESEARCHER_LINK_USE: "set a password by a one-time link:",
    Action.RESEARCHER_DELETE: "deleted the account",
    Action.RESEARCHER_SECOND_FACTOR: "changed the second factor of",
    Action.RESEARCHER_RECOVERY_CODES: "made recovery codes of",
    Action.RESEARCHER_RESET_MFA: "reset the second factor of",
    Action.RESEARCHER_SESSIONS: "ended sessions of",
    Action.API_KEY_CREATE: "made an API key of",
    Action.API_KEY_DISABLE: "disabled an API key",
    Action.CREDENTIAL_STORE: "stored push credentials",
    Action.CREDENTIAL_REMOVE: "removed push credentials",
    Action.EXPORT_CREATE: "had an export prepared",
    Action.EXPORT_RUN_AGAIN: "had an export prepared again",
    Action.EXPORT_CANCEL: "cancelled an export",
    Action.EXPORT_DELETE: "deleted an export",
    Action.EXPORT_FETCH: "downloaded an export",
    Action.DATA_REPROCESS: "had chunks made anew from raw files",
    Action.DATA_FIX: "removed rows with impossible times",
    Action.STORE_REQUEUE: "queued uploads that had no row",
    Action.STORE_COMPRESS: "compressed stored objects",
    Action.DOWNTIME_ON: "turned downtime on",
    Action.DOWNTIME_OFF: "turned downtime off",
}
_BY_VALUE = {str(action.value): words for action, words in WORDS.items()}
ROLES = {
    Role.SITE_ADMIN: "site administrator",
    Role.STUDY_ADMIN: "study administrator",
    Role.STUDY_RESEARCHER: "researcher",
    Role.STUDY_ANALYST: "data analyst",
    Role.STUDY_VIEWER: "viewer",
    Role.RESEARCHER: "no role in the study",
}
_SUBJECTS = {
    "study": "Study",
    "intervention": "Interventions",
    "field": "Custom fields",
    "participant": "Participants",
    "upload": "Uploads and processing",
    "processing": "Uploads and processing",
    "data": "Uploads and processing",
    "store": "Uploads and processing",
    "survey": "Surveys",
    "researcher": "Accounts and keys",
    "api_key": "Accounts and keys",
    "credential": "Site",
    "downtime": "Site",
}
_ABOUT_SITE = ("Accounts and keys", "Site")
# Actions whose words end where the participant's id follows.
_TAKES_PARTICIPANT = {
    Action.PARTICIPANT_RETIRE,
    Action.PARTICIPANT_UNRETIRE,
    Action.PARTICIPANT_PAUSE,
}
_LABELS = {rule.name: rule.label for rule in SETTING_RULES}
_NAMED = ("name", "username", "kind", "stream")


@dataclass(frozen=True)
class Told:
    """One detail of a change: what, and its values before and after where the trail has them."""

    what: str
    before: str | None = None
    after: str | None = None


def words_of_change(row: AuditRecord) -> str:
    """What was done, as the rest of a sentence that begins with who; an action without words is shown as it is."""
    if row.action == Action.PARTICIPANT_CREATE.value and row.patient_id:
        return "added"
    return _BY_VALUE.get(row.action, row.action)


def role_in_words(role: str | None) -> str:
    """A role as it is written on pages; empty for those without one, such as commands."""
    return {str(known.value): words for known, words in ROLES.items()}.get(role or "", role or "")


def kind_in_words(row: AuditRecord) -> str:
    """What acted for the named person, where it was not the person in the portal."""
    return "with an API key" if row.actor_kind == ActorKind.API_KEY.value else ""


def actions_by_subject(*, has_site: bool) -> dict[str, list[tuple[str, str]]]:
    """Actions as choices of a list, by subject: value and words. Those about the site only with `has_site`."""
    grouped: dict[str, list[tuple[str, str]]] = {}
    for action, words in WORDS.items():
        subject = _SUBJECTS.get(action.value.partition(".")[0], "Other")
        if has_site or subject not in _ABOUT_SITE:
            grouped.setdefault(subject, []).append((action.value, _alone(action, words)))
    return {subject: sorted(choices, key=lambda choice: choice[1]) for subject, choices in grouped.items()}


def told_of(row: AuditRecord, names: Names) -> list[Told]:
    """The details of a row: names, counts, and values before and after. No values of participants are in the trail."""
    detail = row.detail
    told = [Told(str(detail[name])) for name in _NAMED if detail.get(name)]
    if survey := detail.get("survey"):
        told.append(Told(names.surveys.get(survey) or f"survey {survey}"))
    if changed := detail.get("changed"):
        told.append(Told(", ".join(names.values.get(name, f"a deleted {name.partition(':')[0]}") for name in changed)))
    if last_day := detail.get("ends_on"):
        told.append(Told(f"until {last_day}"))
    if detail.get("limited"):
        told.append(Told("limited to a site"))
    if detail.get("external_id"):
        told.append(Told("external id"))
    if row.patient_id is None and isinstance(count := detail.get("count"), int):
        what = "file" if row.action == Action.PROCESSING_TRY_AGAIN.value else "participant"
        told.append(Told(f"{count:,} {what}{'' if count == 1 else 's'}"))
    if detail.get("batch"):
        told.append(Told(f"batch {detail['batch']}"))
    if key := detail.get("access_key"):
        told.append(Told(f"{key[:8]}…"))
    return told + _values(row, detail)


def _values(row: AuditRecord, detail: Mapping[str, Any]) -> list[Told]:
    """What the row says of values before and after."""
    before, after = detail.get("before"), detail.get("after")
    if row.action == Action.STUDY_APP_SETTINGS.value:
        before, after = before or {}, after or {}
        return [_setting(name, before, after) for name in detail.get("settings", [])]
    if row.action == Action.STUDY_IMPORT.value:
        return [Told(f"{detail[part]} {part}") for part in ("settings", "surveys") if detail.get(part)]
    if row.action == Action.STUDY_SECURITY.value and isinstance(before, list) and isinstance(after, list):
        what = ("Least length of passwords", "Days until passwords expire", "Second factor required of")
        pairs = zip(what, before, after, strict=False)
        return [Told(name, _value(old, "never"), _value(new, "never")) for name, old, new in pairs if old != new]
    if row.action == Action.STUDY_GRANT.value:
        role = role_in_words(after) if after else "no role"
        return [Told("", role_in_words(before) or "no role" if "before" in detail else None, role)]
    if row.action == Action.RESEARCHER_CREATE.value:
        return [Told("site administrator")] if detail.get("is_site_admin") else []
    if "after" in detail or "before" in detail:
        return [Told("", _value(before) if "before" in detail else None, _value(after))]
    return []


def _setting(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Told:
    label = _LABELS.get(name, name.replace("_", " "))
    if name not in after:
        return Told(f"{label}: new text")
    return Told(label, _value(before.get(name)), _value(after[name]))


def _value(value: Any, nothing: str = "none") -> str:
    if value is None or value == "":
        return nothing
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _alone(action: Action, words: str) -> str:
    """The words without the sentence around them: `Reset the phone of a participant`."""
    if action.value.startswith(("participant.", "upload.")):
        if words.endswith((" of", " for", " on")) or action in _TAKES_PARTICIPANT:
            words += " a participant"
    elif words.endswith(" of"):
        words += " an account"
    return words[0].upper() + words[1:].rstrip(":")
