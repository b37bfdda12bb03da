"""What the page of app settings shows beside its form: changes, what phones will do, and texts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.streams import Platform
from core.studies.expected_data import BATTERY_RULES, ExpectedData, expected_data
from core.studies.sampling import Strip, strips
from webapp.portal.settings.wording import BREAKS_COMPARISON, ShownChange, changes_in_words


@dataclass(frozen=True)
class Preview:
    """What would follow from `values`, compared with what is saved."""

    values: Mapping[str, Any]
    changes: list[ShownChange]
    breaks_comparison: bool
    stops_resends_of_the_past: bool
    bluetooth_never_rests: bool
    strips: list[Strip]
    data: list[ExpectedData]
    has_errors: bool
    battery_rules: tuple[Any, ...] = BATTERY_RULES


def preview_of(saved: Mapping[str, Any], typed: Mapping[str, Any], *, has_errors: bool = False) -> Preview:
    """The preview of typed settings; where one is missing or wrong, it is drawn with what is saved."""
    values = {**saved, **typed}
    changed = [name for name in values if values[name] != saved[name]]
    return Preview(
        values=values,
        changes=changes_in_words(saved, values, changed),
        breaks_comparison=any(name in BREAKS_COMPARISON for name in changed),
        stops_resends_of_the_past=saved["resend_period_minutes"] == 0 < values["resend_period_minutes"],
        bluetooth_never_rests=values["bluetooth"]
        and values["bluetooth_on_duration_seconds"] >= values["bluetooth_total_duration_seconds"],
        strips=strips(values),
        data=[expected_data(values, platform) for platform in (Platform.ANDROID, Platform.IOS)],
        has_errors=has_errors,
    )
