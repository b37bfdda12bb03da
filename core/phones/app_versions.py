"""Versions of the apps, compared (PHONE-130), and what a version is needed for (PHONE-131).

Android counts builds, `84`; iOS names the build within a year, `2024.30`. Names of older builds, such as `2.6.1` or a
hash, are no versions here. Callers take an unknown version for one that is too old.
"""

from core.streams import Platform

Version = tuple[int, ...]
"""Compares by `<`, `<=`, `>`, `>=` with others of the same platform."""
MISSING = "missing"  # how old histories write that there is none


class UnknownVersion(Exception):
    """No version, one in another form, or a phone of no known platform; the message says which."""


def parse_version(platform: Platform | None, text: str | None) -> Version:
    """A version as Android's `version_code` or iOS' `version_name` tells it. Raises UnknownVersion."""
    if platform is None:
        raise UnknownVersion("the phone has not registered, so its platform is not known")
    if not text or text == MISSING:
        raise UnknownVersion("the phone has told no version")
    numbers = text.split(".")
    wanted = 1 if platform is Platform.ANDROID else 2
    if len(numbers) != wanted or not all(number.isascii() and number.isdigit() for number in numbers):
        raise UnknownVersion(f"{text!r} is no version of {platform}")
    return tuple(int(number) for number in numbers)


def app_version(platform: Platform | None, version_code: str | None, version_name: str | None) -> Version:
    """The version that a phone last told. Raises UnknownVersion."""
    return parse_version(platform, version_code if platform is Platform.ANDROID else version_name)


FIRST_WITH_RECEIPTS = parse_version(Platform.IOS, "2024.27")


def can_report_receipts(platform: Platform | None, version_code: str | None, version_name: str | None) -> bool:
    """Whether the app says which pushes it got, so that others are sent again: iOS from 2024.27 on, no Android."""
    if platform is not Platform.IOS or not version_code or version_code == MISSING:
        return False
    try:
        return app_version(platform, version_code, version_name) >= FIRST_WITH_RECEIPTS
    except UnknownVersion:
        return False
