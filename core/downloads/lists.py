"""Lists of a study as programs get them: interventions, surveys' versions, data quantities, hashes (DATA-40)."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.downloads.members import members
from core.downloads.query import DataQuery
from core.models import (
    DailyStatistics,
    Intervention,
    InterventionDate,
    Participant,
    Schedule,
    Study,
    Survey,
    SurveyVersion,
)
from core.models.daily_statistics import BYTES_OF
from core.surveys.content import ContentRefused, decoded_content


def data_quantities(session: Session, study: Study) -> dict[str, dict[str, int]]:
    """By patient id, the bytes of each stream over all days, zeros included; all participants; one query."""
    sums = [sa.func.coalesce(sa.func.sum(getattr(DailyStatistics, name)), 0).label(name) for name in BYTES_OF.values()]
    query = (
        sa.select(Participant.patient_id, *sums)
        .outerjoin(DailyStatistics, DailyStatistics.participant_id == Participant.id)
        .where(Participant.study_id == study.id)
        .group_by(Participant.id, Participant.patient_id)
        .order_by(Participant.patient_id)
    )
    return {
        row.patient_id: {name: int(getattr(row, name)) for name in BYTES_OF.values()} for row in session.execute(query)
    }


def intervention_dates(session: Session, study: Study) -> dict[str, dict[str, dict[str, str | None]]]:
    """By patient id and survey id, the dates of the interventions by which the survey is scheduled; two queries.

    Null where the participant has no date; surveys and participants without such schedules are absent.
    """
    used = (
        sa.select(Survey.object_id, Intervention.id, Intervention.name)
        .join(Schedule, Schedule.survey_id == Survey.id)
        .join(Intervention, Intervention.id == Schedule.intervention_id)
        .where(Survey.study_id == study.id, Survey.deleted_at.is_(None), Schedule.ends_after.is_(None))
        .distinct()
        .order_by(Survey.object_id, Intervention.name, Intervention.id)
    )
    links = session.execute(used).tuples().all()
    if not links:
        return {}
    dates = (
        sa.select(Participant.patient_id, InterventionDate.intervention_id, InterventionDate.happens_on)
        .outerjoin(InterventionDate, InterventionDate.participant_id == Participant.id)
        .where(Participant.study_id == study.id, Participant.purged_at.is_(None))
        .order_by(Participant.patient_id)
    )
    by_person: dict[str, dict[int, str]] = {}
    for patient_id, intervention_id, happens_on in session.execute(dates):
        own = by_person.setdefault(patient_id, {})
        if happens_on:
            own[intervention_id] = happens_on.isoformat()
    return {patient_id: _by_survey(links, own) for patient_id, own in by_person.items()}


def survey_history(session: Session, study: Study) -> dict[str, list[dict[str, Any]]]:
    """By survey id, its versions, oldest first, each with its start and its content; deleted surveys too."""
    query = (
        sa.select(Survey.object_id, SurveyVersion.started_at, SurveyVersion.content)
        .join(SurveyVersion, SurveyVersion.survey_id == Survey.id)
        .where(Survey.study_id == study.id)
        .order_by(Survey.object_id, SurveyVersion.started_at, SurveyVersion.id)
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for survey_id, started_at, content in session.execute(query):
        version = {"archive_start": _with_microseconds(started_at), "survey_json": _content(content)}
        found.setdefault(survey_id, []).append(version)
    return found


def file_hashes(session: Session, study: Study, participant: Participant) -> Iterator[tuple[str, str | None]]:
    """The participant's files by their names in a download, with their SHA-1 in base64, null where unknown."""
    everything = DataQuery(streams=None, patient_ids=None, time_start=None, time_end=None, registry={})
    for member in members(session, study, [(participant.id, participant.patient_id)], everything):
        yield member.name, member.hashes.sha1


def _by_survey(links: Any, own: dict[int, str]) -> dict[str, dict[str, str | None]]:
    found: dict[str, dict[str, str | None]] = {}
    for survey_id, intervention_id, name in links:
        found.setdefault(survey_id, {})[name] = own.get(intervention_id)
    return found


def _content(text: str) -> list[Any]:
    try:
        return decoded_content(json.loads(text) if text else [], is_null_empty=True)
    except (ContentRefused, ValueError):
        return []


def _with_microseconds(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
