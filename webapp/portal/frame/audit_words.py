"""Rows of the audit trail in words."""

from core.models import AuditRecord
from core.models.audit_record import Action

WORDS = {
    Action.STUDY_CREATE: "created the study",
    Action.STUDY_RENAME: "renamed the study",
    Action.STUDY_TIMEZONE: "changed the time zone",
    Action.STUDY_END_DATE: "changed the end date",
    Action.STUDY_STOP: "stopped the study",
    Action.STUDY_REOPEN: "reopened the study",
    Action.STUDY_HIDE: "hid the study",
    Action.STUDY_UNHIDE: "brought the study back",
    Action.STUDY_EASY_ENROLLMENT: "switched easy enrolment",
    Action.STUDY_SECURITY: "changed the security rules",
    Action.STUDY_APP_SETTINGS: "changed app settings",
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
    Action.UPLOAD_TRY_AGAIN: "tried an upload again of",
    Action.PROCESSING_TRY_AGAIN: "put failed files back into the queue",
    Action.SURVEY_CREATE: "created a survey",
    Action.SURVEY_SAVE: "saved a survey",
    Action.SURVEY_DELETE: "deleted a survey",
    Action.SURVEY_RESTORE: "restored a survey",
}
_BY_VALUE = {str(action.value): words for action, words in WORDS.items()}


def words_of_change(row: AuditRecord) -> str:
    """What was done, as the rest of a sentence that begins with who; an action without words is shown as it is."""
    return _BY_VALUE.get(row.action, row.action)
