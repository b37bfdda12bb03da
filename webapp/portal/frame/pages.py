"""Answers: a whole page, or the part of it that HTMX asked for; and what kind of answer a client wants."""

from collections.abc import Callable
from typing import Any

from flask import Response, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue


def is_htmx() -> bool:
    """Whether HTMX made this request, and so swaps the answer into a page."""
    return request.headers.get("HX-Request", "").lower() == "true"


def page_or_fragment(
    page: str, fragment: str, page_values: Callable[[], dict[str, Any]] | None = None, **values: Any
) -> str:
    """Renders the template `fragment` for HTMX, else `page`, which includes it. Both are given `values`.

    `page_values` gives what the page needs besides; it is not called for a fragment.
    """
    if is_htmx():
        return render_template(fragment, **values)
    return render_template(page, **values, **(page_values() if page_values else {}))


def fragment_or_redirect(fragment: str, page_address: str, **values: Any) -> ResponseReturnValue:
    """For an address that has a fragment alone: renders it for HTMX, and leads everybody else to its page."""
    if not is_htmx():
        return redirect(page_address)
    return render_template(fragment, **values)


def lead_to(address: str) -> Response:
    """A redirect, also for a request by HTMX, which must not swap another page in (PERM-18)."""
    if is_htmx():
        return Response(status=204, headers={"HX-Redirect": address})
    return make_response(redirect(address))


def wants_page() -> bool:
    """Whether the client asks for HTML by name, as browsers and HTMX do; programs send `*/*` or nothing."""
    return "text/html" in request.accept_mimetypes.values()


def wants_json() -> bool:
    """Whether the client asks for JSON rather than for a page."""
    return "application/json" in request.accept_mimetypes.values() and not wants_page()
