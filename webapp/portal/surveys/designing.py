"""The designer of a survey: its draft, saved by itself, compared, published or discarded (SURVEY-5, SURVEY-20)."""

import json
from typing import Any

from flask import Response, abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, ConfigDict, StrictInt, ValidationError

from core.access import Capability
from core.audit import actor_of
from core.database import db
from core.models import Survey
from core.surveys.content import ContentRefused, decoded_content, decoded_settings, refuse_unstorable
from core.surveys.drafts import (
    Draft,
    DraftMoved,
    NotPublishable,
    PublishedSince,
    discard_draft,
    draft_of,
    keep_stale_draft,
    publish_draft,
    save_draft,
)
from core.surveys.listing import versions_of
from webapp.portal.access.rules import requires
from webapp.portal.surveys import wording
from webapp.portal.surveys.section import surveys
from webapp.portal.surveys.views import SURVEY, ShownSurvey, read, side_by_side, the_survey

MOVED = "Somebody else has saved this survey since you opened it. Look at it, then go on."
LARGEST_DRAFT = 5_000_000


class Edit(BaseModel):
    """A draft as the designer sends it. `number` is the edit number that it has read.

    `content` holds questions, or the index of one that is as in the draft of that number; `settings` null if they are.
    """

    model_config = ConfigDict(extra="forbid")

    number: StrictInt
    content: list[StrictInt | dict[str, Any]]
    settings: dict[str, Any] | None = None


@surveys.get(f"{SURVEY}/questions")
@requires(Capability.SURVEY_EDIT, is_return_page=True)
def questions(study_number: int, survey_number: int) -> ResponseReturnValue:
    """The designer."""
    return _page(the_survey(survey_number))


def _page(survey: Survey, *, findings: bool = False, problem: str = "", status: int = 200) -> ResponseReturnValue:
    draft = draft_of(db.session(), survey)
    shown = read(survey.survey_type, draft.content, draft.settings)
    page = render_template(
        "portal/surveys/questions.html",
        survey=survey,
        draft=draft,
        shown=shown,
        editor=json.dumps(_editor(survey, draft, shown)),  # in the order of keys as stored
        next_version=len(versions_of(db.session(), survey)) + 1,
        shows_errors=findings,
        problem=problem,
    )
    return page, status


@surveys.put(f"{SURVEY}/draft")
@requires(Capability.SURVEY_EDIT)
def save(study_number: int, survey_number: int) -> ResponseReturnValue:
    """Saves the draft: 200 with its new number and what checking says, 409 if somebody else saved in between."""
    survey = the_survey(survey_number)
    try:
        edit = _edit()
        draft = draft_of(db.session(), survey)
        if edit.number != draft.number:
            raise DraftMoved
        content, settings = _whole(edit, draft)
        actor = actor_of(g.researcher)
        saved = save_draft(db.session(), survey, content, settings, number=edit.number, now=g.now, actor=actor)
        db.session.commit()
    except ContentRefused as refused:
        return {"error": f"The draft was not saved: {refused}."}, 400
    except DraftMoved:
        db.session.rollback()
        draft = draft_of(db.session(), survey)
        return Response(json.dumps(_editor(survey, draft, _shown(survey, draft))), 409, mimetype="application/json")
    return _told(saved, _shown(survey, saved))


@surveys.post(f"{SURVEY}/draft/compare")
@requires(Capability.SURVEY_EDIT)
def compare_draft(study_number: int, survey_number: int) -> ResponseReturnValue:
    """The stored draft beside the one that is sent, which is not saved: for an editor whose save was refused."""
    survey = the_survey(survey_number)
    try:
        edit = _edit()
        if any(isinstance(question, int) for question in edit.content) or edit.settings is None:
            raise ContentRefused("the questions and settings are sent in full here")
    except ContentRefused as refused:
        return {"error": f"{refused}"}, 400
    stored = _shown(survey, draft_of(db.session(), survey))
    sent = ShownSurvey(edit.content, edit.settings, [], {})
    return render_template("portal/surveys/_sides.html", **side_by_side(stored, sent))


@surveys.post(f"{SURVEY}/publish")
@requires(Capability.SURVEY_EDIT)
def publish(study_number: int, survey_number: int) -> ResponseReturnValue:
    """Publishes the draft as a version. 422 with the errors, or 409 if somebody else saved or published since."""
    survey = the_survey(survey_number)
    try:
        is_new = publish_draft(db.session(), survey, number=_number(), now=g.now, actor=actor_of(g.researcher))
        db.session.commit()
    except NotPublishable:
        db.session.rollback()
        return _page(survey, findings=True, status=422)
    except (DraftMoved, PublishedSince, ContentRefused) as refused:
        db.session.rollback()
        return _page(survey, problem=_reason(refused), status=409)
    count = len(versions_of(db.session(), survey))
    flash(f"Version {count} is published. Phones get it at their next look." if is_new else "Nothing changed.", "good")
    return redirect(url_for("surveys.page", study_number=study_number, survey_number=survey_number))


@surveys.post(f"{SURVEY}/discard")
@requires(Capability.SURVEY_EDIT)
def discard(study_number: int, survey_number: int) -> ResponseReturnValue:
    """Throws the draft away; what is published stays. 409 if somebody else saved since."""
    survey = the_survey(survey_number)
    try:
        discard_draft(db.session(), survey, number=_number(), now=g.now, actor=actor_of(g.researcher))
        db.session.commit()
    except DraftMoved as moved:
        db.session.rollback()
        return _page(survey, problem=_reason(moved), status=409)
    flash("The draft is gone. What is published stays.", "good")
    return redirect(url_for("surveys.page", study_number=study_number, survey_number=survey_number))


@surveys.post(f"{SURVEY}/keep_draft")
@requires(Capability.SURVEY_EDIT)
def keep_draft(study_number: int, survey_number: int) -> ResponseReturnValue:
    """Lets a draft replace the version that was published after it was begun, once it is published itself."""
    survey = the_survey(survey_number)
    try:
        keep_stale_draft(db.session(), survey, number=_number(), actor=actor_of(g.researcher))
        db.session.commit()
    except DraftMoved as moved:
        db.session.rollback()
        return _page(survey, problem=_reason(moved), status=409)
    return redirect(url_for("surveys.questions", study_number=study_number, survey_number=survey_number))


def _edit() -> Edit:
    """What the designer sent. Raises ContentRefused."""
    if (request.content_length or 0) > LARGEST_DRAFT:
        raise ContentRefused("it is larger than 5 MB")
    try:
        sent = decoded_settings(request.get_data(as_text=True))
        refuse_unstorable(sent, "the draft")
        return Edit.model_validate(sent)
    except ValidationError as wrong:
        first = wrong.errors()[0]
        raise ContentRefused(f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}") from None


def _whole(edit: Edit, draft: Draft) -> tuple[list[Any], dict[str, Any]]:
    """The content and settings with what the draft has of them.

    Raises ContentRefused for an index beyond it, for one that comes twice, and for a draft that grows too large.
    """
    before = decoded_content(draft.content, is_null_empty=True)
    kept = [item for item in edit.content if isinstance(item, int)]
    if any(not 0 <= index < len(before) for index in kept):
        raise ContentRefused("an index names no question of the draft")
    if len(set(kept)) < len(kept):
        raise ContentRefused("an index comes twice")
    content = [before[item] if isinstance(item, int) else item for item in edit.content]
    settings = decoded_settings(draft.settings, is_null_empty=True) if edit.settings is None else edit.settings
    if len(json.dumps([content, settings])) > LARGEST_DRAFT:
        raise ContentRefused("it is larger than 5 MB")
    return content, settings


def _shown(survey: Survey, draft: Draft) -> ShownSurvey:
    return read(survey.survey_type, draft.content, draft.settings)


def _told(draft: Draft, shown: ShownSurvey) -> dict[str, Any]:
    """What the designer shows of a saved draft."""
    return {
        "number": draft.number,
        "is_draft": draft.is_saved,
        "saved_at": f"{draft.saved_at.astimezone(g.study.zone):%H:%M}" if draft.saved_at else "",
        "saved_by": draft.saved_by or "",
        "findings": [
            {"question_id": f.question_id, "level": f.level.value, "kind": f.kind, "message": f.message}
            for f in shown.findings
        ],
        "sentences": shown.sentences,
    }


def _editor(survey: Survey, draft: Draft, shown: ShownSurvey) -> dict[str, Any]:
    """All that the designer begins with."""
    return _told(draft, shown) | {
        "survey_type": survey.survey_type,
        "content": shown.content,
        "settings": shown.settings,
        "types": wording.QUESTION_TYPES,
        "field_types": wording.FIELD_TYPES,
        "setting_words": wording.SETTINGS,
        "problem": shown.problem,
    }


def _number() -> int:
    try:
        return int(request.form["number"])
    except (KeyError, ValueError):
        abort(400, "The form names no draft: `number` is missing.")


def _reason(refused: Exception) -> str:
    if isinstance(refused, PublishedSince):
        return "A newer version was published after this draft was begun. Compare them, then keep or discard the draft."
    return MOVED if isinstance(refused, DraftMoved) else f"What is stored cannot be read: {refused}."
