"""Which values are imputed: of days of which too little was observed (CLAR-82)."""

from typing import Any

import sqlalchemy as sa

from core.measures.catalogue import Measure
from core.models import ForestDay


def observed_hours() -> sa.ColumnElement[Any]:
    """Hours of the day with GPS, as jasmine counted them; null where it did not."""
    hours: sa.ColumnElement[Any] = ForestDay.jasmine_obs_duration  # type: ignore[attr-defined]
    return sa.func.nullif(hours, sa.literal(float("nan"), sa.Float))


def is_imputed(measure: Measure, least_hours: float) -> sa.ColumnElement[bool]:
    """Whether the measure's value of a day is imputed.

    Jasmine fills gaps of any length. So its values are imputed where fewer hours than these were observed, or where it
    is unknown how many. The hours themselves, and values of other trees, are never imputed.
    """
    if not measure.is_filled_in:
        return sa.false()
    return sa.func.coalesce(observed_hours() < least_hours, sa.true())
