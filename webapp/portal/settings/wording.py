"""How the section's pages name settings and write their values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.models.app_settings import CONSENT_SECTIONS
from core.streams import Platform
from core.studies.app_settings import RULE_OF, SETTING_RULES, SettingGroup, SettingRule
from core.studies.rollout import WhyNot
from core.studies.settings_versions import DEFAULTS
from webapp.portal.frame.wording import PLATFORMS

SECTION_TITLES = {
    "welcome": "Welcome",
    "data_gathering": "Data gathering",
    "privacy": "Privacy",
    "data_use": "Data use",
    "time_commitment": "Time commitment",
    "study_survey": "Study survey",
    "study_tasks": "Study tasks",
    "withdrawing": "Withdrawing",
}
WHY_NOT = {
    WhyNot.NO_REQUEST: (
        "It has sent no request since the change. Phones ask every 30 minutes while the app runs; "
        "one that stays silent is off, offline, or without the app."
    ),
    WhyNot.OLD_APP: "It sends requests, but has never asked for settings: its app is likely too old to do so.",
    WhyNot.RETIRED: "The participant is retired.",
    WhyNot.UNKNOWN: "Not known. Phones ask every 30 minutes while the app runs.",
}
SHORT_LABELS = {"power_state": "Power state", "wifi": "Wi-Fi"}
BREAKS_COMPARISON = ("use_anonymized_hashing", "use_gps_fuzzing")
LONGEST_SHOWN = 120


@dataclass(frozen=True)
class SettingSet:
    """A setting on its own, or a switch with the settings that depend on it."""

    rule: SettingRule
    dependent: tuple[SettingRule, ...]


@dataclass(frozen=True)
class ShownChange:
    """A setting's change in words; `is_text`: its old and new text are not shown in the list."""

    name: str
    label: str
    before: str
    after: str
    is_text: bool


def grouped_settings() -> list[tuple[SettingGroup, list[SettingSet]]]:
    """The settings by group, in the order of the form, without the consent sections."""
    groups: dict[SettingGroup, list[SettingSet]] = {}
    for rule in SETTING_RULES:
        if not rule.switch and rule.name != "consent_sections":
            dependent = tuple(other for other in SETTING_RULES if other.switch == rule.name)
            groups.setdefault(rule.group, []).append(SettingSet(rule, dependent))
    return list(groups.items())


def setting_label(name: str) -> str:
    """The label of a setting."""
    return RULE_OF[name].label


def setting_value(name: str, value: Any) -> str:
    """A value in words: `on`, `600 seconds`, a text."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int):
        return f"{value:,} {RULE_OF[name].unit}"
    return str(value) or "no text"


def changes_in_words(before: Mapping[str, Any], after: Mapping[str, Any], names: Iterable[str]) -> list[ShownChange]:
    """The named settings with their old and new values; consent sections one by one."""
    shown = []
    for name in names:
        if name == "consent_sections":
            shown += [
                ShownChange(name, f"Consent section “{SECTION_TITLES[section]}”", "", "", is_text=True)
                for section in CONSENT_SECTIONS
                if before[name][section] != after[name][section]
            ]
        else:
            is_text = isinstance(DEFAULTS[name], str)
            old, new = (setting_value(name, values[name]) for values in (before, after))
            shown.append(ShownChange(name, setting_label(name), old, new, is_text))
    return shown


def platform_words(platforms: Iterable[Platform]) -> str:
    """`Android and iOS`, `iOS`."""
    return " and ".join(PLATFORMS[platform] for platform in platforms)
