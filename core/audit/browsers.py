"""A browser in a few words, from the header User-Agent (RFC 9110, 10.1.5)."""

import re

LONGEST = 60
UNKNOWN = "unknown program"
# The first match counts: browsers name the ones before them, so that old pages work in them.
_BROWSERS = (
    ("Edg/|EdgA/|EdgiOS/", "Edge"),
    ("OPR/|Opera", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/|FxiOS/", "Firefox"),
    ("HeadlessChrome/|Chrome/|CriOS/|Chromium/", "Chrome"),
    ("Version/.* Safari/", "Safari"),
)
_SYSTEMS = (
    ("iPhone|iPod", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh|Mac OS X", "macOS"),
    ("Linux|X11", "Linux"),
)
_PROGRAM = re.compile(r"([A-Za-z][A-Za-z0-9._-]{0,30})/")


def browser_in_words(user_agent: str | None) -> str:
    """`Firefox on macOS`; the name of a program such as `python-requests`; else `unknown program`. At most 60 letters.

    Nothing else of the header is taken over.
    """
    text = user_agent or ""
    browser, system = _first(_BROWSERS, text), _first(_SYSTEMS, text)
    if browser:
        return f"{browser} on {system}" if system else browser
    program = _PROGRAM.match(text)
    return program.group(1) if program and program.group(1) != "Mozilla" else UNKNOWN


def _first(known: tuple[tuple[str, str], ...], text: str) -> str:
    return next((words for pattern, words in known if re.search(pattern, text)), "")
