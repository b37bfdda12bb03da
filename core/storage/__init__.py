"""Object stores (a local folder, S3) behind one small interface, and the sealed layer over them."""

from core.storage.errors import ObjectChanged, ObjectExists, ObjectMissing, StoreUnavailable
from core.storage.sealed import SealedStore, StoredBytes
from core.storage.store import ObjectStore, open_store

__all__ = [
    "ObjectChanged",
    "ObjectExists",
    "ObjectMissing",
    "ObjectStore",
    "SealedStore",
    "StoreUnavailable",
    "StoredBytes",
    "open_store",
]
