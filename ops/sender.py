"""`python -m ops.sender`: the standing sender of push notifications; SIGTERM ends it after what is on its way."""

import gc
import signal
import sys
from types import FrameType

from core.config import ConfigurationError, get_settings
from core.database import get_engine
from core.logs import set_up_logging
from core.notifications.delivering import opener
from core.notifications.standing import Stand


def main() -> None:
    """Looks every few seconds until it is stopped."""
    try:
        settings = get_settings()
    except ConfigurationError as error:
        sys.exit(f"Error: {error}")
    set_up_logging(is_production=settings.is_production)
    gc.freeze()  # else each large look pauses to search all that was imported for garbage
    stand = Stand(get_engine(), opener(settings.fcm_url, settings.apns_url), settings.push_attempt_count)

    def stop(_number: int, _frame: FrameType | None) -> None:
        stand.stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    stand.run()


if __name__ == "__main__":
    main()
