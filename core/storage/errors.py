"""What can go wrong with an object store. A missing object is distinct from a failing store (STORE-8)."""


class StoreError(Exception):
    """Base of the store's errors; the message names the key."""


class ObjectMissing(StoreError):
    """There is no object under this key."""


class ObjectExists(StoreError):
    """There is one already, and raw objects are created, never overwritten (STORE-10)."""


class ObjectChanged(StoreError):
    """The object is no longer the one that was read: another worker has replaced it (STORE-11)."""


class StoreUnavailable(StoreError):
    """The store did not answer, refused, or is full; worth another try later."""
