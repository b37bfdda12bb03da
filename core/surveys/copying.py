"""Copying a survey, or a block of its questions, within a study or to another one (CLAR-50)."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.answer_alerts.copying import copy_rules
from core.answers.scores import add_scores, scores_as_json
from core.audit import Actor, record
from core.models import CustomField, Intervention, Study, Survey, SurveyType
from core.models.audit_record import Action
from core.studies.interventions import create_intervention
from core.surveys.content import ContentRefused, decoded_content, decoded_settings
from core.surveys.drafts import draft_of, save_draft
from core.surveys.expiry import own_expiry
from core.surveys.questions_in_use import question_ids_of
from core.surveys.rules.blocks import Dropped, block_of
from core.surveys.rules.renewing import new_names, with_new_ids
from core.surveys.saving import create_survey
from core.surveys.schedules import Planned, Relative
from core.surveys.scheduling import ScheduleChanges, apply_schedules, planned_schedules

LONGEST_NAME = 500


class NothingToCopy(Exception):
    """None of the questions that were chosen is in the survey, or one of the surveys asks no questions."""


@dataclass(frozen=True)
class CopiedSurvey:
    """The copy, how many questions got new ids, the interventions that were added, and what was left out, in words."""

    survey: Survey
    new_ids: int
    interventions: list[str]
    left_out: list[str]


@dataclass(frozen=True)
class CopiedBlock:
    """How many questions came, and the conditions that were dropped since they named questions outside the block."""

    questions: int
    dropped: list[Dropped]


def copy_survey(session: Session, source: Survey, target: Study, now: datetime, *, actor: Actor) -> CopiedSurvey:
    """A draft in the target study, published nowhere, with the source's questions, settings and schedules.

    What is published is copied, or the draft of a survey that never was. Questions whose ids the target has already
    get new ones, and the logic, scores and rules of alerts follow. Interventions are found by name, ignoring case, and
    added where the target has none of that name. The caller commits, and has checked that the actor may see the one and
    edit the other. Raises ContentRefused, TimingRefused and NameRefused, upon which the caller rolls back.
    """
    content, settings = content_to_copy(session, source)
    renewed = with_new_ids(content, question_ids_of(session, target.id))
    new_ids = sum(old != new for old, new in zip(_ids(content), _ids(renewed), strict=True))
    copy = create_survey(session, target, SurveyType(source.survey_type), now, actor=actor)
    copy.name = source.name if source.study_id != target.id else f"Copy of {source.name}"[:LONGEST_NAME].strip()
    added, left_out = _copy_schedules(session, source, copy, target, now, actor)
    save_draft(session, copy, renewed, settings, number=copy.edit_number, now=now, actor=actor)
    names = new_names(content, renewed)
    add_scores(session, copy, scores_as_json(session, source.id), names, actor=actor)
    left_out += copy_rules(session, source, copy, target, names, now, actor=actor)
    record(session, actor, Action.SURVEY_COPY, study=target, survey=copy.object_id, source=source.object_id)
    if source.published_at is not None and draft_of(session, source).is_saved:
        left_out.append("the draft that the survey has beside what is published")
    return CopiedSurvey(copy, new_ids, added, left_out)


def copy_block(
    session: Session,
    source: Survey,
    chosen: Collection[str],
    target: Survey,
    *,
    number: int,
    now: datetime,
    actor: Actor,
) -> CopiedBlock:
    """Adds the questions with these ids to the end of the target's draft; the caller commits.

    Conditions on questions outside the block are dropped. `number` is the edit number of the target that the actor
    has read. Raises NothingToCopy, ContentRefused and DraftMoved.
    """
    block = block_of(content_to_copy(session, source)[0], chosen)
    if not block.questions or {source.survey_type, target.survey_type} != {SurveyType.TRACKING}:
        raise NothingToCopy
    draft = draft_of(session, target)
    content = decoded_content(draft.content, is_null_empty=True)
    settings = decoded_settings(draft.settings, is_null_empty=True)
    questions = with_new_ids(block.questions, question_ids_of(session, target.study_id))
    save_draft(session, target, content + questions, settings, number=number, now=now, actor=actor)
    study = session.get_one(Study, target.study_id)
    record(session, actor, Action.SURVEY_BRING_IN, study=study, survey=target.object_id, source=source.object_id)
    return CopiedBlock(len(questions), block.dropped)


def content_to_copy(session: Session, survey: Survey) -> tuple[list[Any], dict[str, Any]]:
    """What is published of the survey, or the draft of one that never was. Raises ContentRefused."""
    stored: Any = survey if survey.published_at is not None else draft_of(session, survey)
    content = decoded_content(stored.content, is_null_empty=True)
    if not all(isinstance(question, dict) for question in content):
        raise ContentRefused("one of the questions is no object")
    return content, decoded_settings(stored.settings, is_null_empty=True)


def _ids(content: list[Any]) -> list[Any]:
    return [question.get("question_id") for question in content]


def _copy_schedules(
    session: Session, source: Survey, copy: Survey, target: Study, now: datetime, actor: Actor
) -> tuple[list[str], list[str]]:
    """Gives the copy the source's schedules; returns names of interventions added for them, and what was left out.

    Schedules of an arm come where the target has a custom field of that name.
    """
    names = {i.id: i.name for i in session.scalars(sa.select(Intervention).filter_by(study_id=source.study_id))}
    by_name = {i.name.lower(): i.id for i in session.scalars(sa.select(Intervention).filter_by(study_id=target.id))}
    fields = _same_fields(session, source.study_id, target.id)
    added: list[str] = []
    wanted: list[Planned] = []
    left_out = 0
    for planned in planned_schedules(session, source):
        if planned.arm is not None and planned.arm.field not in fields:
            left_out += 1
            continue
        arm = planned.arm and replace(planned.arm, field=fields[planned.arm.field])
        timing = planned.timing
        if isinstance(timing, Relative):
            name = names[int(timing.intervention)]
            if name.lower() not in by_name:
                made = create_intervention(session, target, name, actor=actor)
                session.flush()
                by_name[name.lower()] = made.id
                added.append(name)
            timing = replace(timing, intervention=by_name[name.lower()])
        wanted.append(replace(planned, timing=timing, arm=arm))
    apply_schedules(session, copy, ScheduleChanges(wanted, own_expiry(session, source)), now)
    told = [f"schedules for an arm of which {target.name} has no custom field ({left_out})"] if left_out else []
    return added, told


def _same_fields(session: Session, source_study: int, target_study: int) -> dict[int | str, int]:
    """Custom fields of the one study to those of the same name, ignoring case, in the other."""
    of_target = {f.name.lower(): f.id for f in session.scalars(sa.select(CustomField).filter_by(study_id=target_study))}
    found = session.scalars(sa.select(CustomField).filter_by(study_id=source_study))
    return {field.id: of_target[field.name.lower()] for field in found if field.name.lower() in of_target}
