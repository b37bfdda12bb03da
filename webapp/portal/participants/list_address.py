"""The address of a list of participants. It contains search, filter, sorting and page, so that it can be shared."""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, TypeVar

from core.participants.listing import LONGEST_SEARCH, SORT_COLUMNS, ListQuery
from core.participants.states import Show
from core.streams import Platform

Choice = TypeVar("Choice", bound=StrEnum)


def parse_list_address(arguments: Mapping[str, str]) -> ListQuery:
    """What the arguments of an address ask for. Invalid values fall back to the default."""
    platform = arguments.get("platform", "")
    return ListQuery(
        search=_text(arguments, "search").lower(),
        show=_choice(Show, arguments.get("show"), ListQuery.show),
        platform=platform if platform in list(Platform) else "",
        version=_text(arguments, "version"),
        field_id=_number(arguments.get("field", ""), 0),
        value=_text(arguments, "value"),
        has_tests=arguments.get("tests") == "shown",
        sort=_sort(arguments.get("sort", "")),
        is_ascending=arguments.get("order") == "up",
        page=_number(arguments.get("page", ""), 1),
    )


def list_arguments(query: ListQuery, **changes: Any) -> dict[str, Any]:
    """The arguments of the address of this list after `changes`, without default values.

    A change leads to the first page, unless it sets `page`.
    """
    defaults = _all_arguments(ListQuery())
    wanted = _all_arguments(replace(query, **({"page": 1} | changes)))
    return {name: value for name, value in wanted.items() if value != defaults[name]}


def _all_arguments(query: ListQuery) -> dict[str, Any]:
    return {
        "search": query.search,
        "show": query.show.value,
        "platform": query.platform,
        "version": query.version,
        "field": query.field_id,
        "value": query.value,
        "tests": "shown" if query.has_tests else "hidden",
        "sort": query.sort,
        "order": "up" if query.is_ascending else "down",
        "page": query.page,
    }


def _text(arguments: Mapping[str, str], name: str) -> str:
    return arguments.get(name, "").replace("\0", "").strip()[:LONGEST_SEARCH]


def _number(text: str, default: int) -> int:
    return max(default, int(text[:9])) if text.isascii() and text.isdecimal() else default


def _sort(name: str) -> str:
    kind, _, number = name.partition(":")
    is_value = kind in ("field", "intervention") and number.isascii() and number.isdecimal() and len(number) < 10
    return name if name in SORT_COLUMNS or is_value else ListQuery.sort


def _choice(kind: type[Choice], name: str | None, default: Choice) -> Choice:
    return kind(name) if name in list(kind) else default
