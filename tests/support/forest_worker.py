"""`python -m tests.support.forest_worker` works off the waiting Forest tasks of its environment, as a worker does."""

from datetime import UTC, datetime

from core.config import get_settings
from core.database import get_engine
from core.forest.run import run_task
from core.forest.tasks import claim_next
from flows.infrastructure import get_store

if __name__ == "__main__":
    while (number := claim_next(get_engine(), datetime.now(UTC))) is not None:
        run_task(get_engine(), get_store(), get_settings(), number)
