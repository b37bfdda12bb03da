"""Copying from another study into a new one (PORTAL-83)."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from core.audit import Actor
from core.models import Study, SurveyType
from core.studies.settings_file.importing import Ticks, import_file, plan_import
from core.studies.settings_file.reading import read_study_file
from core.studies.settings_file.writing import study_file_text


@dataclass(frozen=True)
class Copied:
    """What came from the other study: surveys by type, interventions, and whether app settings did."""

    surveys: int
    audio_surveys: int
    interventions: int
    settings: bool


def copy_study(
    session: Session, source: Study, study: Study, *, settings: bool, surveys: bool, now: datetime, actor: Actor
) -> Copied:
    """Copies as ticked, and the names of interventions always; never participants, people, zone or security.

    Of custom fields it copies the names of those by which schedules of the surveys divide arms (CLAR-55).

    Goes through the settings file, so that a copy is what an export and an import would give. The caller commits.
    Raises ImportRefused where the other study holds something that an import refuses.
    """
    file = read_study_file(study_file_text(session, source).encode())
    plan = plan_import(session, study, file, Ticks(settings=settings, surveys=surveys))
    import_file(session, study, plan, now, actor=actor)
    audio = sum(survey.survey_type is SurveyType.AUDIO for survey in plan.surveys)
    return Copied(len(plan.surveys) - audio, audio, len(plan.interventions), bool(plan.settings))
