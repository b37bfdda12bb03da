"""`python -m ops.first_uploads`: processes uploads from the start of `make run` until Prefect does, then ends.

Prefect's server, worker and first runs take half a minute to start, while a newcomer waits for the first data. Claims
in the database keep it apart from the flows' work (OPS-23).
"""

import logging
import time

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from core.config import get_settings
from core.database import get_engine
from core.logs import set_up_logging
from core.processing.claims import count_waiting
from core.processing.presence import is_dispatcher_present
from core.processing.run import Scope, process_everything
from core.storage import open_store
from core.storage.errors import StoreError

MOST_SECONDS = 180.0
AFTER_DISPATCHER_SECONDS = 20.0  # the time that a run needs to start
LOOK_EVERY_SECONDS = 0.5
AFTER_ERROR_SECONDS = 10.0
log = logging.getLogger(__name__)


def main() -> None:
    """Returns once the dispatcher has worked for some seconds, or after three minutes."""
    settings = get_settings()
    set_up_logging(is_production=settings.is_production)
    engine, store = get_engine(), open_store(settings, is_for_workers=True)
    end = time.monotonic() + MOST_SECONDS
    while (now := time.monotonic()) < end:
        try:
            with Session(engine) as session:
                is_waiting = count_waiting(session) > 0
                if is_dispatcher_present(session):
                    end = min(end, now + AFTER_DISPATCHER_SECONDS)
            if is_waiting:
                process_everything(engine, store, settings, Scope())
        except (OperationalError, StoreError) as error:  # the flows will meet and report it too
            log.warning("uploads wait: %s", type(error).__name__)
            time.sleep(AFTER_ERROR_SECONDS)
        time.sleep(LOOK_EVERY_SECONDS)


if __name__ == "__main__":
    main()
