"""Typed answers, sealed with the study's key: in clear they are in no table (CLAR-56)."""

import json
from collections.abc import Mapping

from core.crypto.seal import SealContext, seal, unseal_whole
from core.models import Study

LEVEL = 1
PLACE = "#texts"  # no raw path holds this mark


def seal_texts(study: Study, path: str, texts: Mapping[int, str]) -> bytes | None:
    """The texts by place as the column `sealed_texts` holds them, bound to the file's path; None without any."""
    if not texts:
        return None
    return seal(json.dumps(sorted(texts.items())).encode(), _context(study, path), LEVEL)


def open_texts(study: Study, path: str, sealed: bytes | None) -> dict[int, str]:
    """The texts by place. Raises SealBroken."""
    if sealed is None:
        return {}
    return dict(json.loads(unseal_whole(sealed, _context(study, path))))


def _context(study: Study, path: str) -> SealContext:
    return SealContext(study.storage_key, study.object_id, path + PLACE)
