"""Which apps report the pushes that they received, and so get them again (NOTIF-50, PHONE-130, PHONE-131). Pure."""

import re

from core.streams import Platform

FIRST_BUILD = (2024, 27)
_BUILD = re.compile(r"([0-9]+)\.([0-9]+)", re.ASCII)


def reports_receipts(platform: str | None, version_code: str | None, version_name: str | None) -> bool:
    """Whether it is an iOS app from build 2024.27 on. A version that is missing or of another form is too old."""
    if platform != Platform.IOS.value or not version_code or not version_name:
        return False
    build = _BUILD.fullmatch(version_name)
    return build is not None and (int(build[1]), int(build[2])) >= FIRST_BUILD
