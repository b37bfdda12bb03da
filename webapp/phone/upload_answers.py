"""The answer to each outcome of an upload (PHONE-63, PHONE-64).

After a 200 the phone deletes its file; after any other status it keeps the file and tries again. Only developers read
the texts. They are the existing platform's where it has one.
"""

from core.phones.upload_outcomes import UploadOutcome
from webapp.phone.answers import Answer

ANSWERS = {
    UploadOutcome.STORED: Answer(200, "upload successful."),
    UploadOutcome.KEPT_ASIDE: Answer(200, "file had decryption key error 'kept aside'"),
    UploadOutcome.NAME_KEPT_ASIDE: Answer(200, "file name not recognised, kept aside."),
    UploadOutcome.EMPTY: Answer(200, "empty file?"),
    UploadOutcome.EMPTY_KEPT_ASIDE: Answer(200, "empty file?"),
    UploadOutcome.JUNK_NAME: Answer(200, "file obviously invalid."),
    UploadOutcome.RETIRED: Answer(200, "participant permanently retired."),
    UploadOutcome.STUDY_STOPPED: Answer(200, "study is deleted, stopped, or ended."),
    UploadOutcome.NOTHING_IN_FILE: Answer(200, "file was bad due to 'no data in it', delete it."),
    UploadOutcome.NO_FILE: Answer(400, "file not present"),
    UploadOutcome.STILL_QUEUED: Answer(400, "file already present, upload again later (your bug!)"),
    UploadOutcome.RACE_LOST: Answer(400, "backoff, duplicate race condition."),
    UploadOutcome.TOO_LARGE: Answer(413, "file too large, tell the study's staff."),
    UploadOutcome.TOO_MUCH_UNREADABLE: Answer(503, "too much that cannot be read today, try again later."),
}
