"""The address of a list of participants: it holds all of what is asked for, so that it can be shared."""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, TypeVar

from core.participants.listing import LONGEST_ID, ListQuery, Sort
from core.participants.states import Show

Choice = TypeVar("Choice", bound=StrEnum)


def parse_list_address(arguments: Mapping[str, str]) -> ListQuery:
    """What the arguments of an address ask for. Invalid values fall back to the default."""
    page = arguments.get("page", "")
    return ListQuery(
        search=arguments.get("search", "").strip().lower()[:LONGEST_ID],
        show=_choice(Show, arguments.get("show"), ListQuery.show),
        sort=_choice(Sort, arguments.get("sort"), ListQuery.sort),
        is_ascending=arguments.get("order") == "up",
        page=max(1, int(page[:9])) if page.isascii() and page.isdecimal() else 1,
    )


def list_arguments(query: ListQuery, **changes: Any) -> dict[str, Any]:
    """The arguments of an address for this list with some changes, without those that are the default.

    Any change leads to the first page, unless it names a page.
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
