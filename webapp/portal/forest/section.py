"""The blueprint of the section."""

from flask import abort, g, make_response, render_template

from webapp.portal.frame.pages import is_htmx, wants_page
from webapp.portal.frame.section import Section

forest = Section("forest", __name__)


def require_forest() -> None:
    """404 while the study has Forest switched off (PERM-52): a page that says so, and who can switch it on.

    Call it in the view, after the access check.
    """
    if g.study.has_forest:
        return
    if is_htmx() or not wants_page():
        abort(404)
    abort(make_response(render_template("portal/forest/off.html"), 404))
