"""A survey as phones read it (PHONE-50 to PHONE-54)."""

from typing import Any

from core.models import Survey, SurveyType
from core.surveys.content import (
    ContentRefused,
    decoded_content,
    decoded_settings,
    questions_for_phones,
    settings_without_zero,
)
from core.surveys.rules.translating import Texts, translated

NO_TEXTS: Texts = {}


class UnreadableSurvey(Exception):
    """The stored content or settings are not valid; the message names the survey."""


def content_for_phones(survey: Survey, texts: Texts = NO_TEXTS) -> list[Any]:
    """Questions, or the one prompt of an audio survey, which apps need even when empty (PHONE-53).

    `texts` are translations, which stand in place of the survey's own where there are any (CLAR-55). Ends of sliders
    are texts (PHONE-54). Raises UnreadableSurvey.
    """
    try:
        content = questions_for_phones(decoded_content(survey.content, is_null_empty=True))
    except ContentRefused as error:
        raise UnreadableSurvey(f"survey {survey.object_id}: {error}") from error
    content = translated(content, texts) if texts else content
    return content or ([{"prompt": ""}] if survey.survey_type == SurveyType.AUDIO else [])


def settings_for_phones(survey: Survey) -> dict[str, Any]:
    """Settings with `always_available` always present: without it Android hides the survey (PHONE-51).

    Never 0 random questions (PHONE-52). Raises UnreadableSurvey.
    """
    try:
        settings = decoded_settings(survey.settings, is_null_empty=True)
    except ContentRefused as error:
        raise UnreadableSurvey(f"survey {survey.object_id}: {error}") from error
    return {"always_available": False, **settings_without_zero(settings)}


def asks_on_arrival(survey: Survey) -> bool:
    """Whether phones ask it as soon as they get it: then iOS asks again whenever anything of it differs (PHONE-52)."""
    try:
        return settings_for_phones(survey).get("trigger_on_first_download") is True
    except UnreadableSurvey:
        return False
