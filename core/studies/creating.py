"""Creating and changing studies."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.models import AppSettings, Study
from core.models.audit_record import Action
from core.models.study import new_object_id, new_study_key
from core.studies.app_settings import setting_problem
from core.studies.settings_versions import DEFAULTS, add_first_versions
from core.zones import known_zones


class StudyRefused(Exception):
    """A study cannot be created or changed as asked; the message says what is allowed."""


def create_study(
    session: Session,
    name: str,
    *,
    timezone_name: str = "America/New_York",
    encryption_key: str | None = None,
    app_settings: Mapping[str, Any] | None = None,
    actor: Actor,
) -> Study:
    """Adds a study with its app settings; the caller commits (a taken name fails there). Raises StudyRefused."""
    if encryption_key is not None and len(encryption_key.encode()) != 32:
        raise StudyRefused("an encryption key has exactly 32 characters")
    study = Study(
        object_id=new_object_id(),
        name=checked_name(name),
        timezone_name=checked_zone(timezone_name),
        encryption_key=encryption_key or new_study_key(),
        imported_at=datetime.now(UTC) if encryption_key else None,  # a key that was there before has objects
        app_settings=AppSettings(),
    )
    apply_app_settings(study.app_settings, app_settings or {})
    _fill_in_defaults(study.app_settings)
    session.add(study)
    add_first_versions(session, study, study.app_settings, actor.name)
    record(session, actor, Action.STUDY_CREATE, study=study)
    return study


def checked_name(name: str) -> str:
    """1 to 200 characters without control characters; runs of white space become one space (PORTAL-80)."""
    name = re.sub(r"\s+", " ", name).strip()
    if not 1 <= len(name) <= 200 or any(unicodedata.category(c) == "Cc" for c in name):
        raise StudyRefused("a study's name has 1 to 200 characters")
    return name


def checked_zone(timezone_name: str) -> str:
    """A name the zone database knows."""
    if timezone_name not in known_zones():
        raise StudyRefused(f"{timezone_name}: not a time zone, such as America/New_York")
    return timezone_name


def _fill_in_defaults(row: AppSettings) -> None:
    """Sets what a new row would otherwise get from the database, so that its first version can be written with it."""
    for name, default in DEFAULTS.items():
        if getattr(row, name) is None:
            setattr(row, name, default)


def apply_app_settings(row: AppSettings, values: Mapping[str, Any]) -> None:
    """Sets the given settings. Raises StudyRefused naming every one that is unknown, mistyped or out of range."""
    problems = [problem for name, value in values.items() if (problem := setting_problem(name, value))]
    if problems:
        raise StudyRefused("; ".join(problems))
    for name, value in values.items():
        setattr(row, name, value)
