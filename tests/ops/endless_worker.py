"""Processes whatever waits, again and again, until it is killed; errors are printed and tried again."""

import time
import traceback

from core.config import get_settings
from core.database import get_engine
from core.processing.run import Scope, process_everything
from core.storage import open_store

PAUSE_SECONDS = 0.1


def main() -> None:
    """Never returns."""
    store = open_store(get_settings())
    while True:
        try:
            process_everything(get_engine(), store, get_settings(), Scope())
        except Exception:  # the database may be down: that is what is being tried
            traceback.print_exc()
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
