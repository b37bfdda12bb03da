"""The object store of a flow's process, and the errors after which a task is retried."""

from functools import lru_cache
from typing import Any

from prefect import State
from prefect.client.schemas.objects import TaskRun
from prefect.tasks import Task
from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError

from core.config import get_settings
from core.storage import ObjectStore, StoreUnavailable, open_store

INFRASTRUCTURE_ERRORS = (OperationalError, InterfaceError, TimeoutError, StoreUnavailable, ConnectionError)


@lru_cache
def get_store() -> ObjectStore:
    """The process's object store. Checked once for the features that it must have (STORE-11)."""
    store = open_store(get_settings(), is_for_workers=True)
    store.check()
    return store


def is_infrastructure_error(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether an error came from the database or the store, so that the task is worth retrying."""
    try:
        state.result()
    except INFRASTRUCTURE_ERRORS:
        return True
    except Exception:
        return False
    return False
