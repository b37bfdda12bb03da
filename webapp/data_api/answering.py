"""Answers of the data API: JSON whole or streamed, each recorded in the log of data access (DATA-26, DATA-43)."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import isfinite
from typing import Any

from flask import Response, stream_with_context

from core.audit.access_log import end_access, record_access
from core.audit.actor import actor_with_key
from core.database import db
from core.models import AccessKind, Study
from webapp.data_api.credentials import Program

JSON = "application/json; charset=utf-8"
PIECE_ROWS = 500


def begin_access(
    program: Program, kind: AccessKind, study: Study, what: str, *, patient_ids: Sequence[str] | None = None
) -> int:
    """Records that the program reads this, before the first byte is sent; commits. `what` is the endpoint's name."""
    actor = actor_with_key(program.researcher, program.key)
    count = len(patient_ids) if patient_ids is not None else None
    number = record_access(
        db.session(),
        actor,
        kind,
        study,
        participants=count,
        patient_ids=patient_ids,
        streams=[],
        parameters={"endpoint": what},
    )
    db.session.commit()
    return number


def whole(text: str, access: int, content_type: str = JSON) -> Response:
    """An answer in one piece."""
    response = Response(text, content_type=content_type)
    end_access(db.session(), access, len(response.data))
    db.session.commit()
    return response


def json_whole(value: Any, access: int) -> Response:
    """A JSON value in one piece."""
    return whole(as_json(value), access)


def as_json(value: Any) -> str:
    """The value as JSON, which knows no NaN and no infinity: null in their place."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def json_list(rows: Iterable[Any], access: int) -> Response:
    """A JSON list, sent while its rows are read: memory does not grow with the list."""
    return _streamed(lambda: _list_pieces(rows), access)


def json_object(entries: Iterable[tuple[str, Any]], access: int) -> Response:
    """A JSON object, sent while its entries are read."""
    return _streamed(lambda: _object_pieces(entries), access)


def _streamed(pieces: Callable[[], Iterator[str]], access: int) -> Response:
    """Sends the pieces. One that fails breaks the connection: it never ends as a whole answer."""
    session = db.session()  # that of the request, which reads the rows; while they are sent `db.session` is another

    def recorded() -> Iterator[bytes]:
        sent, error = 0, None
        try:
            for piece in pieces():
                data = piece.encode()
                sent += len(data)
                yield data
        except BaseException as failure:
            error = type(failure).__name__
            raise
        finally:
            session.rollback()  # else its connection is lost to the pool
            end_access(db.session(), access, sent, error)
            db.session.commit()

    return Response(stream_with_context(recorded()), content_type=JSON)


def _list_pieces(rows: Iterable[Any]) -> Iterator[str]:
    return _enclosed("[", map(as_json, rows), "]")


def _object_pieces(entries: Iterable[tuple[str, Any]]) -> Iterator[str]:
    return _enclosed("{", (f"{json.dumps(key)}: {as_json(value)}" for key, value in entries), "}")


def _enclosed(first: str, parts: Iterable[str], last: str) -> Iterator[str]:
    waiting: list[str] = []
    is_begun = False
    for part in parts:
        waiting.append(part)
        if len(waiting) == PIECE_ROWS:
            yield (", " if is_begun else first) + ", ".join(waiting)
            waiting, is_begun = [], True
    yield ("" if is_begun else first) + (", " if is_begun and waiting else "") + ", ".join(waiting) + last
