"""The contents of pushes (NOTIF-30, NOTIF-31, NOTIF-32, NOTIF-71).

Data fields are texts, also where they hold JSON: iOS crashes on `survey_ids` that is no list of texts, on
`survey_uuids_dict` that is no object of such lists, and on a `sent_time` of another form (NOTIF-30).
"""

import json
import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from core.streams import Platform

TITLE = "Beiwe"
ONE_SURVEY, SEVERAL_SURVEYS = "You have a survey to take.", "You have surveys to take."
GREETING = "Hello from your Beiwe server."
MOST_SURVEYS_ON_REQUEST = 4
NONCE_CHARACTERS = 32


@dataclass(frozen=True)
class Wording:
    """What a participant's pushes show (NOTIF-31). `heartbeat` is None where the app settings' text counts."""

    title: str = TITLE
    one_survey: str = ONE_SURVEY
    several_surveys: str = SEVERAL_SURVEYS
    heartbeat: str | None = None

    def of_surveys(self, count: int) -> str:
        """The text for so many surveys."""
        return self.one_survey if count == 1 else self.several_surveys


BUILT_IN = Wording()


@dataclass(frozen=True)
class Message:
    """One push. `body` is what iOS shows; Android's app makes its own notification from `data` (NOTIF-31).

    The services drop it at `expires_at`, which is so many seconds after it was written down. On the phone it replaces
    earlier ones with its `collapse_key` (NOTIF-35).
    """

    platform: Platform
    data: Mapping[str, str]
    body: str
    title: str = TITLE
    expires_at: datetime | None = None
    seconds_to_live: int | None = None
    collapse_key: str | None = None

    def until(self, expires_at: datetime, collapse_key: str, now: datetime) -> "Message":
        """The same message with an end and a key, as it is written down at this moment."""
        seconds = max(1, int((expires_at - now).total_seconds()))
        return replace(self, expires_at=expires_at, seconds_to_live=seconds, collapse_key=collapse_key)


def survey_message(
    platform: Platform, uuids: Mapping[str, Sequence[str]], earliest: datetime, wording: Wording = BUILT_IN
) -> Message:
    """A push for due surveys: `uuids` maps survey ids to uuids of events; `earliest` is the first time (NOTIF-30)."""
    data = {
        "type": "survey",
        "survey_ids": json.dumps(list(uuids)),
        "survey_uuids_dict": json.dumps({survey: list(events) for survey, events in uuids.items()}),
        "sent_time": sent_time(earliest),
        "nonce": nonce(),
    }
    return Message(platform, data, wording.of_surveys(len(uuids)), wording.title)


def text_message(platform: Platform, text: str, title: str = TITLE) -> Message:
    """A push with a text for the participant, such as a heartbeat (NOTIF-32)."""
    data = {"type": "message", "message": text} if platform is Platform.ANDROID else {}
    return Message(platform, {**data, "nonce": nonce()}, text, title)


def fake_message(platform: Platform) -> Message:
    """The answer to `test_notification` (NOTIF-71)."""
    return Message(platform, {"type": "fake", "content": GREETING}, GREETING)


def surveys_on_request(platform: Platform, survey_ids: Sequence[str], now: datetime) -> Message:
    """The answer to `send_survey_notification`: the first four of these, without events behind them (NOTIF-71)."""
    shown = list(survey_ids[:MOST_SURVEYS_ON_REQUEST])
    data = {"type": "survey", "survey_ids": json.dumps(shown), "sent_time": sent_time(now)}
    return Message(platform, data, BUILT_IN.of_surveys(len(shown)))


def sent_time(at: datetime) -> str:
    """The moment in UTC, in the only format that iOS reads."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"


def nonce() -> str:
    """32 random letters and digits, so that no message looks like a repetition of another."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(NONCE_CHARACTERS))
