"""The greatest length of a request's body (OPS-4)."""

import re

from core.config import Settings
from webapp.serving.lanes import is_download_by_key

MOST_BYTES = 1 << 20
MOST_DOWNLOAD_QUERY_BYTES = 128 << 20  # an incoming registry is large
MOST_FILE_BYTES = (32 << 20) + (1 << 16)  # a file of participants, and the form around it (CLAR-38)
_UPLOAD = re.compile(r"/+upload(/ios)?/?")


_FILES = re.compile(
    r"/+(view_study/[0-9]+/(import_participants|add_participants_from_file)"
    r"|import_study_settings_file/[0-9]+|create_study)/?"
)


def most_body_bytes(path: str, settings: Settings) -> int:
    """The greatest length of a body at this decoded path, in bytes."""
    if _UPLOAD.fullmatch(path):
        return settings.upload_max_bytes
    if _FILES.fullmatch(path):
        return MOST_FILE_BYTES
    return MOST_DOWNLOAD_QUERY_BYTES if is_download_by_key(path) else MOST_BYTES
