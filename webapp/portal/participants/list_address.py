"""The address of a list of participants. It contains search, filter, sorting and page, so that it can be shared."""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, TypeVar

from core.participants.listing import LONGEST_ID, ListQuery, Sort
from core.participants.states import Show

Choice = TypeVar("Choice", bound=StrEnum)


def parse_list_address(arguments: Mapping[str, str]) -> ListQuery:
    """The query that an address's arguments describe. Invalid values fall back to the default."""
    page = arguments.get("page", "")
    return ListQuery(
        search=arguments.get("search", "").strip().lower()[:LONGEST_ID],
        show=_choice(Show, arguments.get("show"), ListQuery.show),
        sort=_choice(Sort, arguments.get("sort"), ListQuery.sort),
        is_ascending=arguments.get("order") == "up",
        page=max(1, int(page[:9])) if page.isascii() and page.isdecimal() else 1,
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
        "sort": query.sort.value,
        "order": "up" if query.is_ascending else "down",
        "page": query.page,
    }


def _choice(kind: type[Choice], name: str | None, default: Choice) -> Choice:
    return kind(name) if name in list(kind) else default
