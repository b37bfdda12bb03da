"""The history of a participant in words."""

from core.models import EventKind
from core.models.audit_record import Action
from core.participants.history import PHONE, HistoryEntry

WORDS = {
    Action.PARTICIPANT_RETIRE: "Retired",
    Action.PARTICIPANT_UNRETIRE: "Retirement undone",
    Action.PARTICIPANT_RESET_DEVICE: "Phone forgotten",
    Action.PARTICIPANT_RESET_PASSWORD: "New password made",
    Action.PARTICIPANT_NEW_PHONE: "Prepared for a new phone",
    Action.PARTICIPANT_EASY_ENROLLMENT: "Easy enrolment switched",
    Action.PARTICIPANT_FIELDS: "Fields or dates edited",
    Action.PARTICIPANT_WITHDRAW: "Withdrawal recorded",
    Action.PARTICIPANT_COMPLETE: "Completion recorded",
    Action.PARTICIPANT_TAKE_BACK_DEPARTURE: "Last day removed",
    Action.PARTICIPANT_PAUSE: "Paused",
    Action.PARTICIPANT_RESUME: "Pause ended",
    Action.PARTICIPANT_TEST: "Test mark switched",
    Action.PARTICIPANT_NOTE: "Note written",
    Action.PARTICIPANT_PURGE: "Purge asked for",
    Action.PARTICIPANT_TAKE_BACK_PURGE: "Purge taken back",
    Action.UPLOAD_TRY_AGAIN: "A kept-aside upload tried again",
    EventKind.REGISTERED: "Phone registered",
    EventKind.DEVICE_CHANGED: "Another phone used the id",
    EventKind.PASSWORD_CHANGED: "Password changed on the phone",
    EventKind.ZONE_CHANGED: "Time zone of the phone changed",
    EventKind.TOKEN_RETIRED: "Push token no longer in use",
    EventKind.HEARTBEAT_PUSHED: "Heartbeat notification sent",
}
TOLD = ("os_type", "os_version", "brand", "model", "beiwe_version", "zone", "left_on", "until", "after", "changed")


def words_of(entry: HistoryEntry) -> tuple[str, str, str]:
    """What happened, who did it, and what is told of it; names of actions that have no words are shown as they are."""
    words = {str(key.value): text for key, text in WORDS.items()}
    who = "the phone" if entry.who == PHONE else entry.who
    told = [_told(name, entry.detail[name]) for name in TOLD if entry.detail.get(name) not in (None, "")]
    return words.get(entry.what, entry.what), who, ", ".join(told)


def _told(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(str(part).replace(":", " ") for part in value)
    return f"until {value}" if name == "until" else str(value)
