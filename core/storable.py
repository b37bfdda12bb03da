"""Which JSON values can be stored, shown and sent to phones: JSON allows a few that columns and pages refuse. Pure."""

import math
from collections.abc import Iterator
from typing import Any

MOST_LAYERS = 100


def not_storable(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Place and reason of each text and number in the value that cannot be stored, names of keys included (SURVEY-53).

    These are the character NUL, halves of surrogate pairs, numbers too large for a double, and too many layers.
    """
    waiting = [(value, place, 0)]
    while waiting:
        part, at, layer = waiting.pop()
        if reason := _reason(part):
            yield at, reason
        elif layer > MOST_LAYERS:
            yield at, f"lists and objects lie in each other more than {MOST_LAYERS} times"
        elif isinstance(part, dict):
            for key, inner in part.items():
                if reason := _reason(key):
                    yield f"{at}.{key}", f"the key {reason}"
                waiting.append((inner, f"{at}.{key}", layer + 1))
        elif isinstance(part, list):
            waiting += [(inner, f"{at}[{number}]", layer + 1) for number, inner in enumerate(part)]


def readable(text: str) -> str:
    """The text with escapes in place of what cannot be shown."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _reason(part: Any) -> str:
    if isinstance(part, float) and not math.isfinite(part):
        return "is too large a number"
    if not isinstance(part, str):
        return ""
    if "\0" in part:
        return "has the character NUL, which cannot be stored"
    if any("\ud800" <= character <= "\udfff" for character in part):
        return "has half of a surrogate pair, which is no character"
    return ""
