"""The names under which phones upload (PHONE-64 row 2, PHONE-69, PHONE-71)."""

import re

from core.streams import SPECS

EXTENSIONS = ("csv", "json", "mp4", "wav", "txt", "jpg")
FOREIGN_PREFIXES = ("rList", "PersistedInstallation")
ASIDE_NAME_CHARACTERS = 150


class NameNotAccepted(Exception):
    """A name that no app gives, or one with another participant's id: the file is set aside (PHONE-69)."""


def is_junk(file_name: str) -> bool:
    """Whether the name is of a file without study data: of another library, or without a known extension."""
    if not file_name or file_name.startswith(FOREIGN_PREFIXES):
        return True
    _, dot, extension = file_name.rpartition(".")
    return not dot or extension not in EXTENSIONS


def raw_path(file_name: str, patient_id: str) -> str:
    """The raw object's path below the study's folder, with the stored patient id. Raises NameNotAccepted.

    Accepted is `<patient id>_<alias>[_<survey id>]_<digits>.<extension>` (PHONE-69).
    """
    match = _NAME.fullmatch(file_name)
    if not match:
        raise NameNotAccepted("a name that no app gives to a file")
    if match["patient"].lower() != patient_id:
        raise NameNotAccepted("a name with another participant's id")
    return f"{patient_id}/{file_name[len(match['patient']) + 1 :].replace('_', '/')}"


def name_kept_aside(file_name: str) -> str:
    """The received name, made safe for the path of a set-aside object (PHONE-84)."""
    return re.sub(r"[^A-Za-z0-9.-]", "_", file_name[:ASIDE_NAME_CHARACTERS])


_ALIASES = sorted(
    {alias for spec in SPECS.values() for alias in spec.upload_aliases if "/" not in alias} - {"identifiers"}
)
_NAME = re.compile(
    rf"(?P<patient>[A-Za-z0-9]{{1,8}})_(?:{'|'.join(_ALIASES)})(?:_[A-Za-z0-9]{{24}})?_[0-9]{{1,20}}\.[a-z0-9]{{3,4}}",
    re.ASCII,
)
