"""The process's object store and key cache, opened on first use."""

from flask import current_app

from core.config import Settings
from core.models import Study
from core.phones.key_cache import PrivateKeyCache
from core.storage import ObjectStore, SealedStore, open_store


def settings() -> Settings:
    """The settings this application was made with."""
    value: Settings = current_app.extensions["beiwe_settings"]
    return value


def object_store() -> ObjectStore:
    """The store that the settings ask for, opened once per process."""
    if "beiwe_store" not in current_app.extensions:
        current_app.extensions["beiwe_store"] = open_store(settings())
    store: ObjectStore = current_app.extensions["beiwe_store"]
    return store


def sealed_store(study: Study) -> SealedStore:
    """The study's own view of the store."""
    return SealedStore(object_store(), study, settings())


def private_keys() -> PrivateKeyCache:
    """The process's cache of participants' private keys."""
    cache: PrivateKeyCache = current_app.extensions.setdefault("beiwe_private_keys", PrivateKeyCache())
    return cache
