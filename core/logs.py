"""How this project's processes log: one JSON object per line in production, readable text in development (OPS-33).

Flow runs keep Prefect's logging. A line holds only known fields, and only the first line of an error: the lines
after it may hold values, such as the row that violated a constraint.
"""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from traceback import format_tb
from typing import Any, TextIO

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the web request that is being answered."""
EXTRAS = ("account", "study", "participant", "method", "endpoint", "status", "address", "duration_ms")
"""What a caller may add by `extra`; account is a researcher's number, study and participant are ids."""
OURS = ("core", "webapp", "ops")
MOST_MESSAGE_CHARACTERS = 500
MOST_CAUSES = 5


class JsonLines(logging.Formatter):
    """One object per line: time (ISO, UTC), level, logger, event, and where known request_id, EXTRAS, exception."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **_known(record),
        }
        if record.exc_info and record.exc_info[1]:
            line["exception"] = exception_text(record.exc_info[1])
        return json.dumps(line, default=str)


class ReadableLines(logging.Formatter):
    """Log lines as readable text, for people."""

    def format(self, record: logging.LogRecord) -> str:
        known = "".join(f"  {name}={value}" for name, value in _known(record).items())
        moment = _time(record).astimezone()
        line = f"{moment:%H:%M:%S} {record.levelname.lower():<7} {record.name}: {record.getMessage()}{known}"
        if record.exc_info and record.exc_info[1]:
            line += "\n" + exception_text(record.exc_info[1])
        return line


class StandardError(logging.StreamHandler[TextIO]):
    """Writes to the current `sys.stderr`, also after it was replaced."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def set_up_logging(*, is_production: bool) -> None:
    """Logs to standard error: warnings and above, and INFO for our own modules. May be called again."""
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, StandardError)]:
        root.removeHandler(handler)
    ours = StandardError()
    ours.setFormatter(JsonLines() if is_production else ReadableLines())
    root.addHandler(ours)
    for name in OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    logging.captureWarnings(is_production)


def exception_text(error: BaseException) -> str:
    """Traceback and message of an error, causes first: no values of variables, and each message's first line only."""
    parts: list[str] = []
    link: BaseException | None = error
    while link is not None and len(parts) < MOST_CAUSES:
        message = str(link).partition("\n")[0][:MOST_MESSAGE_CHARACTERS]
        parts.append("".join(format_tb(link.__traceback__)) + f"{type(link).__qualname__}: {message}")
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "\n".join(reversed(parts))


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _known(record: logging.LogRecord) -> dict[str, Any]:
    values = {"request_id": REQUEST_ID.get()} | {name: getattr(record, name, None) for name in EXTRAS}
    return {name: value for name, value in values.items() if value is not None}
