"""A key in forms whose second press must do nothing: `new_form_key` in the page, `form_key` in the request."""

from uuid import UUID, uuid4

from flask import request

FIELD = "form_key"
ALREADY_SENT = "This form was sent in before, so nothing was sent a second time. See what came of the first time."


def new_form_key() -> str:
    """A key for a form that is shown; each shown form has its own."""
    return uuid4().hex


def form_key() -> UUID | None:
    """The key of the form that was sent in; None if it has none, as requests of programs."""
    try:
        return UUID(request.form.get(FIELD, ""))
    except ValueError:
        return None
