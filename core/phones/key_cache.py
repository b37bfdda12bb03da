"""Participants' private keys, fetched once and kept parsed in memory (PHONE-116)."""

from threading import Lock

from cachetools import LRUCache

from core.crypto.participant_keys import DevicePrivateKey
from core.storage import SealedStore

MOST_KEYS = 10_000  # about 3 KB each


class PrivateKeyCache:
    """The most recently used keys, by study and patient id. A participant's pair never changes (PHONE-90)."""

    def __init__(self, most: int = MOST_KEYS) -> None:
        self._keys: LRUCache[str, DevicePrivateKey] = LRUCache(most)
        self._lock = Lock()

    def get(self, store: SealedStore, patient_id: str) -> DevicePrivateKey:
        """Raises ObjectMissing when the participant has no keys, StoreUnavailable, SealBroken, ValueError."""
        path = private_key_path(store.study_id, patient_id)
        with self._lock:
            if key := self._keys.get(path):
                return key
        key = DevicePrivateKey.from_pem(store.read(path)[0])
        with self._lock:
            self._keys[path] = key
        return key


def private_key_path(study_id: str, patient_id: str) -> str:
    """Where a participant's private key is stored (PHONE-91)."""
    return f"{study_id}/keys/{patient_id}_private"


def public_key_path(study_id: str, patient_id: str) -> str:
    """Where a participant's public key is stored (PHONE-91)."""
    return f"{study_id}/keys/{patient_id}_public"
