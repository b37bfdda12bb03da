"""Checking a survey as a whole: content, logic and settings (SURVEY-20)."""

from collections.abc import Mapping
from typing import Any

from core.surveys.rules.checking import Finding, check_questions
from core.surveys.rules.settings import TRACKING, check_settings
from core.surveys.rules.warnings import warnings_of


def check_survey(survey_type: str, content: list[Any], settings: Mapping[str, Any]) -> list[Finding]:
    """Errors and warnings; with an error the survey cannot be published. Warnings come only without errors."""
    errors = check_questions(content) if survey_type == TRACKING else check_prompt(content)
    errors += check_settings(settings, survey_type)
    if errors or survey_type != TRACKING:
        return errors
    return warnings_of(content, settings)


def check_prompt(content: list[Any]) -> list[Finding]:
    """The content of an audio survey is a list of at most one prompt (SURVEY-17)."""
    if len(content) <= 1 and all(isinstance(p, dict) and isinstance(p.get("prompt"), str) for p in content):
        return []
    return [Finding("", "malformed", "The content of an audio survey is a list of one prompt.")]
