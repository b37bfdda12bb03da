"""The greatest length of a request's body (OPS-4)."""

import re

from core.config import Settings
from webapp.serving.lanes import Lane, lane_of

MOST_BYTES = 1 << 20
MOST_DOWNLOAD_QUERY_BYTES = 128 << 20  # an incoming registry is large
_UPLOAD = re.compile(r"/+upload(/ios)?/?")


def most_body_bytes(path: str, settings: Settings) -> int:
    """The greatest length of a body at this decoded path, in bytes."""
    if _UPLOAD.fullmatch(path):
        return settings.upload_max_bytes
    return MOST_DOWNLOAD_QUERY_BYTES if lane_of(path) is Lane.DOWNLOADS else MOST_BYTES
