"""Checking the settings of a survey (SURVEY-10, SURVEY-11)."""

from collections.abc import Mapping
from typing import Any

from core.surveys.rules.checking import Finding

TRACKING = "tracking_survey"
"""The stored type of surveys with questions; the other type is `audio_survey`."""
SWITCHES = ("trigger_on_first_download", "always_available", "randomize", "randomize_with_memory")
BIT_RATES = (32_000, 64_000, 96_000, 128_000)
SAMPLE_RATES = (16_000, 22_050, 44_100)
AUDIO_TYPES = ("compressed", "raw")


def check_settings(settings: Any, survey_type: str) -> list[Finding]:
    """An error of kind `bad_settings` for each setting of a wrong type or value. Unknown settings are left alone."""
    if not isinstance(settings, dict):
        return [_wrong("The settings of a survey are an object.")]
    found = [_wrong(f"{name}: true or false.") for name in SWITCHES if not isinstance(settings.get(name, False), bool)]
    if survey_type == TRACKING:
        return found + _check_tracking(settings)
    allowed: dict[str, tuple[Any, ...]] = {
        "audio_survey_type": AUDIO_TYPES,
        "bit_rate": BIT_RATES,
        "sample_rate": SAMPLE_RATES,
    }
    for name, values in allowed.items():
        if name in settings and (isinstance(settings[name], bool) or settings[name] not in values):
            found.append(_wrong(f"{name}: one of {', '.join(map(str, values))}."))
    return found


def _check_tracking(settings: Mapping[str, Any]) -> list[Finding]:
    count = settings.get("number_of_random_questions")
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
        return [_wrong("number_of_random_questions: a whole number, or null for all of them.")]
    return []


def _wrong(message: str) -> Finding:
    return Finding("", "bad_settings", message)
