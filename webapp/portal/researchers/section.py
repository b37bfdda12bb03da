"""The blueprint of the section."""

from typing import Any

from core.access import PLAIN_ROLES, STORED_ROLES
from core.accounts.rights_table import ROLE_HINTS, ROLE_NAMES
from webapp.portal.frame.section import Section

researchers = Section("researchers", __name__)


@researchers.context_processor
def words() -> dict[str, Any]:
    """How the section's templates name roles."""
    return {
        "role_names": ROLE_NAMES,
        "role_hints": ROLE_HINTS,
        "stored_roles": STORED_ROLES,
        "plain_roles": PLAIN_ROLES,
    }
