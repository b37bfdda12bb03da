"""Surveys from templates: published scales, and surveys that were kept for the whole site (CLAR-50, CLAR-57)."""

import json
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.answers.scores import add_scores, scores_as_json
from core.audit import Actor, record
from core.models import Study, Survey, SurveyTemplate, SurveyType
from core.models.audit_record import Action
from core.survey_templates.scale import Scale
from core.surveys.content import decoded_content, decoded_settings
from core.surveys.copying import content_to_copy
from core.surveys.drafts import save_draft
from core.surveys.questions_in_use import question_ids_of
from core.surveys.rules.renewing import new_id, new_names, with_new_ids
from core.surveys.saving import create_survey

LONGEST_NAME, LONGEST_ABOUT = 200, 1_000


class TemplateRefused(ValueError):
    """A survey cannot be kept as a template; the message says why, and `field` where."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


def add_from_scale(session: Session, study: Study, scale: Scale, now: datetime, *, actor: Actor) -> Survey:
    """A draft with the questions and scores of a published scale; the caller commits. No phone gets it yet."""
    ids = tuple(new_id() for _ in scale.items)
    survey = _add(session, study, scale.name, SurveyType.TRACKING, scale.content(ids), {}, now, actor)
    scores = [
        {"name": score.name, "variable": score.variable, "definition": scale.definition(score, ids)}
        for score in scale.scores
    ]
    add_scores(session, survey, scores, {}, actor=actor)
    record(session, actor, Action.SURVEY_FROM_TEMPLATE, study=study, survey=survey.object_id, template=scale.key)
    return survey


def add_from_template(
    session: Session, study: Study, template: SurveyTemplate, now: datetime, *, actor: Actor
) -> Survey:
    """A draft with the content, settings and scores of a kept survey; the caller commits.

    Questions whose ids the study has get new ones, and logic and scores follow (CLAR-50).
    """
    content, settings = decoded_content(template.content), decoded_settings(template.settings)
    renewed = with_new_ids(content, question_ids_of(session, study.id))
    survey = _add(session, study, template.name, SurveyType(template.survey_type), renewed, settings, now, actor)
    add_scores(session, survey, template.scores, new_names(content, renewed), actor=actor)
    name = f"{template.id}: {template.name}"
    record(session, actor, Action.SURVEY_FROM_TEMPLATE, study=study, survey=survey.object_id, template=name)
    return survey


def keep_as_template(
    session: Session, survey: Survey, name: str, about: str, now: datetime, *, actor: Actor
) -> SurveyTemplate:
    """Keeps a survey for the whole site: its published content, or its draft while it has none. The caller commits.

    Raises TemplateRefused, ContentRefused.
    """
    name, about = " ".join(name.split()), about.strip()
    if not 1 <= len(name) <= LONGEST_NAME:
        raise TemplateRefused(f"A template has a name of 1 to {LONGEST_NAME} characters.", "name")
    if len(about) > LONGEST_ABOUT:
        raise TemplateRefused(f"At most {LONGEST_ABOUT:,} characters.", "about")
    content, settings = content_to_copy(session, survey)
    if not content:
        raise TemplateRefused("The survey has no questions yet.", "name")
    template = SurveyTemplate(
        name=name,
        about=about,
        survey_type=survey.survey_type,
        content=json.dumps(content),
        settings=json.dumps(settings),
        scores=scores_as_json(session, survey.id),
        made_by=actor.name,
        researcher_id=actor.id,
    )
    session.add(template)
    session.flush()
    study = session.get_one(Study, survey.study_id)
    record(session, actor, Action.TEMPLATE_KEEP, study=study, survey=survey.object_id, template=name)
    return template


def remove_template(session: Session, template: SurveyTemplate, now: datetime, *, actor: Actor) -> None:
    """Takes a kept survey out of the list; surveys that were made from it stay. The caller commits."""
    template.removed_at = template.removed_at or now
    record(session, actor, Action.TEMPLATE_REMOVE, template=template.name)


def kept_templates(session: Session) -> list[SurveyTemplate]:
    """The surveys that were kept on this site, by name."""
    query = sa.select(SurveyTemplate).where(SurveyTemplate.removed_at.is_(None))
    return list(session.scalars(query.order_by(sa.func.lower(SurveyTemplate.name), SurveyTemplate.id)))


def _add(
    session: Session,
    study: Study,
    name: str,
    survey_type: SurveyType,
    content: list[Any],
    settings: dict[str, Any],
    now: datetime,
    actor: Actor,
) -> Survey:
    survey = create_survey(session, study, survey_type, now, actor=actor)
    survey.name = name
    save_draft(session, survey, content, settings, number=survey.edit_number, now=now, actor=actor)
    return survey
