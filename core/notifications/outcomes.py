"""Outcomes of a push, common to FCM and APNs (NOTIF-41, NOTIF-42, NOTIF-43)."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from math import ceil

MOST_CHARACTERS = 200
HTML_PAGE = "Unexpected HTTP response from push notification service."


class Fate(StrEnum):
    """Classes of outcomes, each handled differently. Only `failed` concerns the token itself and counts against it."""

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
    """The outcome of one push. `reason` can be shown and stored: short, without markup, token or key.

    `is_unknown`: the message was sent, and no answer came; the service may have accepted it.
    """

    fate: Fate
    reason: str = ""
    retry_after_seconds: int | None = None
    is_unknown: bool = False


DELIVERED = Outcome(Fate.DELIVERED)


def cleaned(text: str, *secrets: str) -> str:
    """A service's error text as a reason: one short line. HTML pages are left out (NOTIF-42).

    `secrets` are texts that may have come back in it, such as the token.
    """
    if re.search(r"<\s*(!doctype|html|head|body|title|h1|p)\b", text, re.IGNORECASE):
        return HTML_PAGE
    for secret in filter(None, secrets):
        text = text.replace(secret, "…")
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= MOST_CHARACTERS else line[: MOST_CHARACTERS - 1] + "…"


def retry_after(value: str | None, now: datetime | None = None) -> int | None:
    """Seconds of a Retry-After header, which holds seconds or a date; None if it is missing or unreadable."""
    if not value:
        return None
    if re.fullmatch(r"[0-9]{1,6}", value.strip(), re.ASCII):
        return int(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0, ceil((at - (now or datetime.now(UTC))).total_seconds()))
