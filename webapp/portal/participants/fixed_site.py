"""Which values the signed-in person may edit: not the field that limits the person's role to a site (PERM-95)."""

from core.participants.columns import Column
from webapp.portal.frame.navigation import site_limit


def is_open_to_edits(column: Column) -> bool:
    """Whether the column is a field or an intervention, and not the field that limits the person's role."""
    limit = site_limit()
    return column.is_value and not (limit and column.is_field and column.number == limit.field_id)
