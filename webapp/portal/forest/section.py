"""The blueprint of the section."""

from flask import abort, g

from webapp.portal.frame.section import Section

forest = Section("forest", __name__)


def require_forest() -> None:
    """404 while the study has Forest switched off (PERM-52). Call it in the view, after the access check."""
    if not g.study.has_forest:
        abort(404)
