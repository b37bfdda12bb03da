"""What can become of a push, the same for FCM and APNs (NOTIF-41, NOTIF-42, NOTIF-43)."""

import re
from dataclasses import dataclass
from enum import StrEnum

MOST_CHARACTERS = 200
HTML_PAGE = "Unexpected HTTP response from push notification service."


class Fate(StrEnum):
    """The classes that are dealt with differently. Only `failed` is about this very token and counts against it."""

    DELIVERED = "delivered"
    UNREGISTERED = "unregistered"
    QUOTA = "quota"
    FAILED = "failed"
    CREDENTIALS = "credentials"
    UNREACHABLE = "unreachable"
    NOT_CONFIGURED = "not configured"
    NO_TOKEN = "no token"  # noqa: S105


@dataclass(frozen=True)
class Outcome:
    """What became of one push. `reason` is fit to be shown and stored: short, no markup, no token, no key."""

    fate: Fate
    reason: str = ""
    retry_after_seconds: int | None = None


DELIVERED = Outcome(Fate.DELIVERED)


def cleaned(text: str, *secrets: str) -> str:
    """A service's words as a reason: one short line; a page of HTML says nothing that anybody could use (NOTIF-42).

    `secrets` are texts that may have come back in it, such as the token.
    """
    if re.search(r"<\s*(!doctype|html|head|body|title|h1|p)\b", text, re.IGNORECASE):
        return HTML_PAGE
    for secret in filter(None, secrets):
        text = text.replace(secret, "…")
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= MOST_CHARACTERS else line[: MOST_CHARACTERS - 1] + "…"


def retry_after(value: str | None) -> int | None:
    """Seconds of a Retry-After header; None without one, and for a date, which services send to nobody."""
    return int(value) if value and re.fullmatch(r"[0-9]{1,6}", value.strip(), re.ASCII) else None
