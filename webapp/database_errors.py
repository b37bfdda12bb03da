"""Answers 503 with `Retry-After` when the database cannot be reached, instead of 500."""

from flask import Flask, current_app
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError, TimeoutError
from werkzeug.exceptions import ServiceUnavailable

from webapp.portal.frame.errors import error_page

RETRY_AFTER_SECONDS = 60


def init_database_errors(app: Flask) -> None:
    """Registers the error handlers for every blueprint that has none of its own."""
    app.register_error_handler(DBAPIError, not_reached)
    app.register_error_handler(TimeoutError, not_reached)


def not_reached(error: DBAPIError | TimeoutError) -> ResponseReturnValue:
    """503 for a lost connection, an exhausted pool or a statement timeout. Raises any other database error again."""
    if isinstance(error, DBAPIError) and not is_lost(error):
        raise error
    current_app.logger.error("the database cannot be reached: %s", type(error).__name__, exc_info=error)
    return error_page(ServiceUnavailable(retry_after=RETRY_AFTER_SECONDS))


def is_lost(error: DBAPIError) -> bool:
    """Whether the connection caused the error. psycopg2 raises a plain DatabaseError for some broken connections."""
    kinds = (OperationalError, InterfaceError)
    return error.connection_invalidated or isinstance(error, kinds) or type(error) is DatabaseError
