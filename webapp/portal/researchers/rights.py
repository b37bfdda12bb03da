"""The page that says who may do what, made from the table that every page asks (PERM-93)."""

from flask import render_template
from flask.typing import ResponseReturnValue

from core.access import Capability
from core.accounts.rights_table import COLUMNS, ROLE_HINTS, ROLE_NAMES, rights_by_group
from webapp.portal.access.rules import requires
from webapp.portal.researchers.section import researchers


@researchers.get("/who_may_do_what")
@requires(Capability.OWN_STUDIES)
def rights() -> ResponseReturnValue:
    """Every capability and the roles that have it."""
    return render_template(
        "portal/researchers/rights.html", groups=rights_by_group(), columns=COLUMNS, names=ROLE_NAMES, hints=ROLE_HINTS
    )
