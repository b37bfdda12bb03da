"""Versions of the apps (PHONE-130, PHONE-131)."""

import pytest

from core.phones.app_versions import UnknownVersion, app_version, can_report_receipts, parse_version
from core.streams import Platform

ANDROID, IOS = Platform.ANDROID, Platform.IOS


@pytest.mark.parametrize(
    ("platform", "older", "newer"),
    [
        (ANDROID, "9", "84"),
        (ANDROID, "0083", "84"),
        (IOS, "2024.9", "2024.27"),
        (IOS, "2024.27", "2025.1"),
        (IOS, "2024.21", "12024.21"),
        (IOS, "1.1", "001.002"),
    ],
)
def test_versions_compare_as_numbers(platform: Platform, older: str, newer: str):
    """PHONE-130: years first, then builds."""
    assert parse_version(platform, older) < parse_version(platform, newer)
    assert parse_version(platform, newer) > parse_version(platform, older)
    assert not parse_version(platform, newer) <= parse_version(platform, older)


def test_zeros_in_front_say_nothing():
    """PHONE-130."""
    assert parse_version(IOS, "001.002") == parse_version(IOS, "1.2")
    assert parse_version(ANDROID, "084") >= parse_version(ANDROID, "84") >= parse_version(ANDROID, "084")


@pytest.mark.parametrize(
    "text", [None, "", "missing", "2.6.1", "2024", "2024.", ".27", "2024.27b", "a1b2c3d", "-1.2", "٢.٣"]
)
def test_what_is_no_version_of_ios_is_an_error(text: str | None):
    """PHONE-130."""
    with pytest.raises(UnknownVersion):
        app_version(IOS, "2.6.1", text)


@pytest.mark.parametrize("text", [None, "", "missing", "3.6.0", "84 ", "+84", "1e3", "²"])
def test_what_is_no_version_of_android_is_an_error(text: str | None):
    """PHONE-130."""
    with pytest.raises(UnknownVersion):
        app_version(ANDROID, text, "3.6.0")


def test_a_phone_of_no_known_platform_has_no_version():
    """PHONE-130."""
    with pytest.raises(UnknownVersion, match="platform"):
        app_version(None, "84", "2024.30")


def test_each_platform_tells_its_version_in_another_field():
    """PHONE-130."""
    assert app_version(ANDROID, "84", "3.6.0") == (84,)
    assert app_version(IOS, "2.6.1", "2024.30") == (2024, 30)


@pytest.mark.parametrize(
    ("platform", "code", "name", "can"),
    [
        (IOS, "2.6.1", "2024.27", True),
        (IOS, "2.6.1", "2025.1", True),
        (IOS, "2.6.1", "2024.26", False),
        (IOS, "2.6.1", "2024.9", False),
        (IOS, None, "2024.30", False),
        (IOS, "missing", "2024.30", False),
        (IOS, "2.6.1", None, False),
        (IOS, "2.4.12", "a1b2c3d", False),
        (ANDROID, "99999", "2024.30", False),
        (None, "2.6.1", "2024.30", False),
    ],
)
def test_receipts_come_from_newer_phones_of_apple_alone(
    platform: Platform | None, code: str | None, name: str | None, can: bool
):
    """PHONE-131: with both versions known."""
    assert can_report_receipts(platform, code, name) is can
