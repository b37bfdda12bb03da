"""The application's settings, and the process's object store and key cache, opened on first use."""

from threading import Lock

from flask import current_app

from core.config import Settings
from core.models import Study
from core.phones.key_cache import PrivateKeyCache
from core.storage import ObjectStore, SealedStore, open_store

_opening = Lock()


def settings() -> Settings:
    """The settings that this application was created with."""
    value: Settings = current_app.extensions["beiwe_settings"]
    return value


def object_store() -> ObjectStore:
    """The configured object store, opened once per process.

    Raises StoreUnavailable, also if the store lacks a property that we rely on (STORE-11).
    """
    if "beiwe_store" not in current_app.extensions:
        with _opening:
            if "beiwe_store" not in current_app.extensions:
                opened = open_store(settings())
                opened.check()
                current_app.extensions["beiwe_store"] = opened
    store: ObjectStore = current_app.extensions["beiwe_store"]
    return store


def sealed_store(study: Study) -> SealedStore:
    """The object store with the encryption of this study."""
    return SealedStore(object_store(), study, settings())


def private_keys() -> PrivateKeyCache:
    """The process's cache of participants' private keys."""
    cache: PrivateKeyCache = current_app.extensions.setdefault("beiwe_private_keys", PrivateKeyCache())
    return cache
