"""Answers of views: a whole page, or only the fragment that HTMX requested; and which kind a client wants."""

from collections.abc import Callable
from typing import Any

from flask import Response, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue


def is_htmx() -> bool:
    """Whether HTMX made this request and will swap the answer into a page."""
    return request.headers.get("HX-Request", "").lower() == "true"


def page_or_fragment(
    page: str, fragment: str, page_values: Callable[[], dict[str, Any]] | None = None, **values: Any
) -> str:
    """Renders the template `fragment` for HTMX, else `page`, which includes it. Both get `values`.

    `page_values` returns the further values of the page; it is not called for a fragment.
    """
    if is_htmx():
        return render_template(fragment, **values)
    return render_template(page, **values, **(page_values() if page_values else {}))


def fragment_or_redirect(fragment: str, page_address: str, **values: Any) -> ResponseReturnValue:
    """Renders the fragment for HTMX; redirects other clients to the page to which it belongs."""
    if not is_htmx():
        return redirect(page_address)
    return render_template(fragment, **values)


def lead_to(address: str) -> Response:
    """A redirect. HTMX loads the new address as a whole page, instead of swapping it into this one (PERM-18)."""
    if is_htmx():
        return Response(status=204, headers={"HX-Redirect": address})
    return make_response(redirect(address))


def wanted_switch(is_on: bool) -> bool:
    """Whether a form's field `wanted` asks for on; without it, the other state than now, as the existing platform does.

    A second click, or somebody else's at the same time, then changes nothing back.
    """
    wanted = request.form.get("wanted")
    return not is_on if wanted is None else wanted == "on"


def wants_page() -> bool:
    """Whether the client accepts HTML explicitly, as browsers and HTMX do; programs send `*/*` or nothing."""
    return "text/html" in request.accept_mimetypes.values()


def wants_json() -> bool:
    """Whether the client accepts JSON and not HTML."""
    return "application/json" in request.accept_mimetypes.values() and not wants_page()
