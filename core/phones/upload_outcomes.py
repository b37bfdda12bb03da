"""The outcomes of an upload (PHONE-64). `webapp/phone/upload_answers.py` defines the answer to each."""

from enum import StrEnum

from core.models import Refusal


class UploadOutcome(StrEnum):
    """The outcome of an upload. The values are labels in `/metrics`."""

    STORED = "stored"
    KEPT_ASIDE = "kept aside"
    NAME_KEPT_ASIDE = "name kept aside"
    EMPTY = "empty"
    EMPTY_KEPT_ASIDE = "empty, kept aside"
    JUNK_NAME = "junk name"
    RETIRED = "participant retired"
    STUDY_STOPPED = "study stopped"
    NO_FILE = "no file"
    NOTHING_IN_FILE = "nothing in it"
    STILL_QUEUED = "still queued"
    RACE_LOST = "race lost"
    TOO_LARGE = "too large"
    TOO_MUCH_UNREADABLE = "too much unreadable"

    @property
    def refusal(self) -> Refusal | None:
        """Why nothing was kept, or None if something was."""
        return _REFUSALS.get(self)


_REFUSALS = {
    UploadOutcome.EMPTY: Refusal.EMPTY,
    UploadOutcome.JUNK_NAME: Refusal.JUNK_NAME,
    UploadOutcome.RETIRED: Refusal.RETIRED,
    UploadOutcome.STUDY_STOPPED: Refusal.STUDY_STOPPED,
    UploadOutcome.NO_FILE: Refusal.NO_FILE,
    UploadOutcome.NOTHING_IN_FILE: Refusal.NOTHING_IN_FILE,
    UploadOutcome.STILL_QUEUED: Refusal.STILL_QUEUED,
    UploadOutcome.RACE_LOST: Refusal.RACE_LOST,
    UploadOutcome.TOO_LARGE: Refusal.TOO_LARGE,
    UploadOutcome.TOO_MUCH_UNREADABLE: Refusal.TOO_MUCH_UNREADABLE,
}
