"""Compares the store with its rows (OPS-20): finds objects without a row, and rows without an object.

Both are read in the order of their keys, in pages, so that memory is bounded whatever the size of the bucket (OPS-60).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models.stored_object import StoredObject
from core.storage.errors import ObjectMissing
from core.storage.store import ObjectStore

PAGE_ROWS = 5_000
NOT_DATA = ("LOGS/", "CUSTOM_ONDEPLOY_SCRIPT/")


class Mismatch(StrEnum):
    """The kinds of mismatch that an audit finds."""

    OBJECT_WITHOUT_ROW = "object without row"
    ROW_WITHOUT_OBJECT = "row without object"


@dataclass(frozen=True)
class Seen:
    """One key that the store or the table has, and what is wrong with it."""

    path: str
    mismatch: Mismatch | None


def sweep(session: Session, store: ObjectStore, prefix: str = "", after: str = "") -> Iterator[Seen]:
    """Every key with this prefix after `after`, in order. Mismatches are checked twice, in case of concurrent work.

    Raises StoreUnavailable. No transaction stays open between pages.
    """
    keys = (key for key in store.keys(prefix, after) if not key.startswith(NOT_DATA))
    rows = _rows(session, prefix, after)
    key, row = next(keys, None), next(rows, None)
    while key is not None or row is not None:
        if row is None or (key is not None and key < row):
            assert key is not None
            yield Seen(key, None if _has_row(session, key) else Mismatch.OBJECT_WITHOUT_ROW)
            key = next(keys, None)
        elif key is None or row < key:
            yield Seen(row, None if _is_there(store, row) else Mismatch.ROW_WITHOUT_OBJECT)
            row = next(rows, None)
        else:
            yield Seen(key, None)
            key, row = next(keys, None), next(rows, None)


def _rows(session: Session, prefix: str, after: str) -> Iterator[str]:
    """Paths of rows in the order of their bytes, which is the order of a store's listing."""
    while True:
        query = sa.select(StoredObject.path).where(StoredObject.path > after).order_by(StoredObject.path)
        if prefix:
            query = query.where(StoredObject.path >= prefix, StoredObject.path < prefix[:-1] + chr(ord(prefix[-1]) + 1))
        page = session.scalars(query.limit(PAGE_ROWS)).all()
        session.commit()
        yield from page
        if len(page) < PAGE_ROWS:
            return
        after = page[-1]


def _has_row(session: Session, path: str) -> bool:
    found = session.scalar(sa.select(sa.exists().where(StoredObject.path == path)))
    session.commit()
    return bool(found)


def _is_there(store: ObjectStore, key: str) -> bool:
    try:
        next(store.read(key)[0], None)
    except ObjectMissing:
        return False
    return True
