"""The preview of a survey: a phone to try it on, and what the walk over all ways found (SURVEY-26, CLAR-59)."""

from typing import Any

from flask import g, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from core.access import Capability
from core.database import db
from core.models import Survey, SurveyType
from core.streams.table import Platform
from core.surveys.content import ContentRefused, decoded_content, decoded_settings, questions_for_phones
from core.surveys.drafts import draft_of
from core.surveys.listing import longest_recording_seconds
from core.surveys.rules.paths import Walk, walk_all_ways
from core.surveys.rules.sentences import numbered
from core.surveys.translations import in_language, translations_of
from webapp.portal.access.rules import requires
from webapp.portal.frame.errors import error_page
from webapp.portal.frame.pages import page_or_fragment
from webapp.portal.surveys import wording
from webapp.portal.surveys.phone_frame import screen_of
from webapp.portal.surveys.section import surveys
from webapp.portal.surveys.views import SURVEY, the_survey

PREVIEW = f"{SURVEY}/preview"
MOVED_ON = "This draft has changed since; open the newest."


class _NotShown(Exception):
    """There is nothing to preview; the message says why."""


@surveys.get(PREVIEW)
@requires(Capability.STUDY_VIEW)
def preview(study_number: int, survey_number: int) -> ResponseReturnValue:
    """The survey on a phone, from its first question; `draft` names the version of the draft to show."""
    return _preview(the_survey(survey_number), is_step=False)


@surveys.post(PREVIEW)
@requires(Capability.STUDY_VIEW)
def step(study_number: int, survey_number: int) -> ResponseReturnValue:
    """The next screen of the phone, or the one before. The answers so far travel in the form, and nothing is kept."""
    return _preview(the_survey(survey_number), is_step=True)


def _preview(survey: Survey, *, is_step: bool) -> ResponseReturnValue:
    try:
        content, settings, draft = _shown(survey)
    except _NotShown as problem:
        return error_page(NotFound(), str(problem))
    languages = translations_of(db.session(), survey, content)
    language = next((of for of in languages if of.language.code == request.values.get("language")), None)
    content = in_language(db.session(), survey, language.language, content) if language else content
    is_audio = survey.survey_type == SurveyType.AUDIO
    screen = screen_of([] if is_audio else content, settings, request.values, is_step=is_step)
    rendered = page_or_fragment(
        "portal/surveys/preview.html",
        "portal/surveys/_phone.html",
        page_values=lambda: {
            "walks": [] if is_audio else _walks(content, settings),
            "numbered": numbered(content),
            "newest": draft_of(db.session(), survey),
        },
        survey=survey,
        screen=screen,
        content=content,
        settings=settings,
        draft=draft,
        languages=languages,
        language=language.language.code if language else None,
        prompt=_prompt(content) if is_audio else "",
        recording_seconds=longest_recording_seconds(db.session(), g.study.id) if is_audio else 0,
        has_moved=is_step,
        wording=wording,
    )
    return rendered, 422 if screen.problem else 200


def _shown(survey: Survey) -> tuple[list[Any], dict[str, Any], int | None]:
    """Content and settings as phones would get them, and the draft's version; None for what is published.

    Raises _NotShown.
    """
    stored_content, stored_settings, number = survey.content, survey.settings, None
    if "draft" in request.values:
        draft = draft_of(db.session(), survey)
        stored_content, stored_settings, number = draft.content, draft.settings, draft.number
        if request.values["draft"] != str(number):
            raise _NotShown(MOVED_ON)
    try:
        content = questions_for_phones(decoded_content(stored_content, is_null_empty=True))
        return content, decoded_settings(stored_settings, is_null_empty=True), number
    except ContentRefused as refused:
        raise _NotShown(f"What is stored cannot be shown: {refused}.") from None


def _prompt(content: list[Any]) -> str:
    return str(content[0].get("prompt", "")) if content and isinstance(content[0], dict) else ""


def _walks(content: list[Any], settings: dict[str, Any]) -> list[tuple[str, Walk]]:
    """What the walk found, for both apps together where it is the same; with the words that say for which."""
    android, ios = (walk_all_ways(content, settings, platform) for platform in (Platform.ANDROID, Platform.IOS))
    if android == ios:
        return [("Android and iOS", android)]
    return [("Android", android), ("iOS", ios)]
