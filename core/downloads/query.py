"""Parses the parameters of a get-data request (DATA-20)."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from core.streams import DataStream

BARE_PATH = re.compile(r"[\w.][\w.:+ -]*(/[\w.:+ -]+)+")
TIME_FORMAT = "%Y-%m-%dT%H:%M:%S"


class BadQuery(Exception):
    """A malformed parameter: 400. The message names it and says what is expected."""


class UnknownName(Exception):
    """A data stream or participant that does not exist anywhere: 404."""


@dataclass(frozen=True)
class DataQuery:
    """A parsed request. `streams` and `patient_ids` None: all; times inclusive on both ends, UTC.

    `registry` maps chunk paths, with or without `CHUNKED_DATA/`, to hashes of what the caller has; None: not sent.
    """

    streams: tuple[DataStream, ...] | None
    patient_ids: tuple[str, ...] | None
    time_start: datetime | None
    time_end: datetime | None
    registry: dict[str, str] | None

    @cached_property
    def hashes_in_registry(self) -> frozenset[str]:
        """The hashes in the caller's registry, of all paths. A registry may hold a million."""
        return frozenset(known.strip() for known in (self.registry or {}).values())


def parse_query(form: dict[str, list[str]]) -> DataQuery:
    """The query of a form's fields, each a list of values as sent. Raises BadQuery, UnknownName."""
    ids_field = "participant_ids" if form.get("participant_ids") else "user_ids"
    names = names_in(form.get("data_streams", ()), "data_streams")
    try:
        streams = tuple(DataStream(name) for name in names) or None
    except ValueError:
        raise UnknownName("data_streams: not the name of a data stream") from None
    return DataQuery(
        streams=streams,
        patient_ids=tuple(names_in(form.get(ids_field, ()), ids_field)) or None,
        time_start=_time(form, "time_start"),
        time_end=_time(form, "time_end"),
        registry=_registry(form),
    )


def names_in(values: Sequence[str], field: str) -> list[str]:
    """Distinct names in a repeated field or in JSON lists, in order. A value that is not JSON is one name."""
    names: dict[str, None] = {}
    for value in values:
        try:
            parsed: Any = json.loads(value)
        except ValueError:
            parsed = [value]
        except RecursionError:
            parsed = None
        if isinstance(parsed, int | float) and not isinstance(parsed, bool):
            parsed = [value.strip()]  # an id that reads as a number, such as 23456789 or 1e234567
        if not isinstance(parsed, list) or not all(isinstance(name, str) and _is_text(name) for name in parsed):
            raise BadQuery(f"{field}: a JSON list of names, or the field repeated, is expected")
        names.update(dict.fromkeys(parsed))
    return list(names)


def _is_text(name: str) -> bool:
    """Whether the database can store the text: no NUL, no lone surrogate (JSON can contain either)."""
    return "\0" not in name and not any("\ud800" <= character <= "\udfff" for character in name)


def known_hashes(registry: dict[str, str], path: str) -> Iterable[str]:
    """The hashes the caller has for a chunk, under its path with and without the leading folder (DATA-24)."""
    for key in (path, path.removeprefix("CHUNKED_DATA/")):
        if key in registry:
            yield registry[key].strip()


def _time(form: dict[str, list[str]], field: str) -> datetime | None:
    value = form.get(field, [""])[-1]
    if not value:
        return None
    try:
        return datetime.strptime(value, TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise BadQuery(f"{field}: YYYY-MM-DDTHH:MM:SS in UTC is expected") from None


def _registry(form: dict[str, list[str]]) -> dict[str, str] | None:
    values = form.get("registry", [""])
    value = values[-1]
    if all(BARE_PATH.fullmatch(each) for each in values):  # mano sends a dict as its keys alone (CLAR-71)
        return None
    if not value:
        return None
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise BadQuery("registry: a JSON object of chunk paths and hashes is expected")
    return {path: str(known) for path, known in parsed.items()}
