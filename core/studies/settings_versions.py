"""What a study's app settings and consent texts were at any time (SURVEY-40, CLAR-31)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import AppSettings, AppSettingsVersion, ConsentVersion, Study
from core.models.app_settings import APP_SETTINGS, CONSENT_SECTIONS, NO_CONSENT_TEXTS

SETTING_NAMES = (*(setting.name for setting in APP_SETTINGS), "consent_sections")
"""The 51 settings of the settings file (SURVEY-50)."""
CONSENT_SETTINGS = frozenset({"consent_form_text", "consent_sections"})
DEFAULTS: Mapping[str, Any] = {setting.name: setting.default for setting in APP_SETTINGS} | {
    "consent_sections": NO_CONSENT_TEXTS
}


@dataclass(frozen=True)
class SettingsChange:
    """One entry of the history: what changed at a time, by whom; `before` is None for the first version."""

    id: int
    at: datetime
    author_name: str
    changed: tuple[str, ...]
    before: Mapping[str, Any] | None
    after: Mapping[str, Any]


def values_of(settings: AppSettings) -> dict[str, Any]:
    """The 51 settings of a row by name; the consent sections are always all eight, each with `text` and `more`."""
    values = {name: getattr(settings, name) for name in SETTING_NAMES}
    return values | {"consent_sections": all_sections(values["consent_sections"])}


def all_sections(stored: Mapping[str, Any] | None) -> dict[str, dict[str, str]]:
    """All eight consent sections with `text` and `more`; what is not stored is empty."""
    sections = stored or {}
    return {
        name: {part: str((sections.get(name) or {}).get(part, "")) for part in ("text", "more")}
        for name in CONSENT_SECTIONS
    }


def add_first_versions(session: Session, study: Study, settings: AppSettings, author_name: str) -> None:
    """Adds version 1 of settings and of consent texts for a study that is being made; the caller commits."""
    values = values_of(settings)
    session.add(AppSettingsVersion(study=study, author_name=author_name, values=values))
    session.add(_consent_version(study, 1, values, author_name))


def add_settings_version(
    session: Session, study: Study, values: dict[str, Any], changed: Iterable[str], at: datetime, author_name: str
) -> None:
    """Adds the settings that hold from `at` on; where a consent text changed, also a version of these."""
    changed = list(changed)
    version = AppSettingsVersion(study=study, author_name=author_name, values=values, changed=changed)
    version.at = at
    session.add(version)
    if CONSENT_SETTINGS & set(changed):
        numbers = sa.select(sa.func.max(ConsentVersion.number)).where(ConsentVersion.study_id == study.id)
        consent = _consent_version(study, (session.scalar(numbers) or 0) + 1, values, author_name)
        consent.at = at
        session.add(consent)


def settings_at(session: Session, study_id: int, moment: datetime) -> dict[str, Any]:
    """The 51 settings as they were at a moment; before the first version, those of the first. One indexed query."""
    versions = sa.select(AppSettingsVersion.values).where(AppSettingsVersion.study_id == study_id)
    newest_first = (AppSettingsVersion.at.desc(), AppSettingsVersion.id.desc())
    stored = session.scalar(
        versions.where(AppSettingsVersion.at <= moment).order_by(*newest_first).limit(1)
    ) or session.scalar(versions.order_by(AppSettingsVersion.at, AppSettingsVersion.id).limit(1))
    return completed(stored or {})


def settings_version(session: Session, study_id: int, version_id: int) -> AppSettingsVersion | None:
    """The study's version with this id, or None."""
    return session.scalar(
        sa.select(AppSettingsVersion).where(
            AppSettingsVersion.study_id == study_id, AppSettingsVersion.id == version_id
        )
    )


def settings_history(session: Session, study_id: int, page: int, size: int) -> tuple[list[SettingsChange], bool]:
    """One page of the changes, newest first (pages count from 1), and whether there are more. One query."""
    newest_first = (AppSettingsVersion.at.desc(), AppSettingsVersion.id.desc())
    rows = session.scalars(
        sa.select(AppSettingsVersion)
        .where(AppSettingsVersion.study_id == study_id)
        .order_by(*newest_first)
        .offset((page - 1) * size)
        .limit(size + 1)
    ).all()
    changes = [
        SettingsChange(
            id=row.id,
            at=row.at,
            author_name=row.author_name,
            changed=tuple(row.changed),
            before=completed(before.values) if before else None,
            after=completed(row.values),
        )
        for row, before in zip(rows, (*rows[1:], None), strict=False)
    ]
    return changes[:size], len(rows) > size


def newest_version(session: Session, study_id: int) -> AppSettingsVersion | None:
    """The version that holds now: when the settings last changed, and by whom. One indexed query."""
    newest_first = (AppSettingsVersion.at.desc(), AppSettingsVersion.id.desc())
    return session.scalar(
        sa.select(AppSettingsVersion).where(AppSettingsVersion.study_id == study_id).order_by(*newest_first).limit(1)
    )


def _consent_version(study: Study, number: int, values: Mapping[str, Any], author_name: str) -> ConsentVersion:
    return ConsentVersion(
        study=study,
        number=number,
        author_name=author_name,
        form_text=values["consent_form_text"],
        sections=values["consent_sections"],
    )


def completed(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a version; a setting that it lacks has its default, and all eight sections are there."""
    values = {name: stored.get(name, DEFAULTS[name]) for name in SETTING_NAMES}
    return values | {"consent_sections": all_sections(values["consent_sections"])}
