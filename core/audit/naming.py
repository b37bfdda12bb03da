"""Names for the ids in rows of the audit trail, as they are today (PORTAL-290)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.orm import Session

from core.models import AuditRecord, CustomField, Intervention, Participant, Study, Survey


@dataclass(frozen=True)
class Names:
    """What exists of what the rows name. Something that was deleted since is missing.

    `values`: names of custom fields and interventions, by `field:<id>` and `intervention:<id>`. `surveys`: names by
    object id. `studies`: by object id. `participants`: patient ids. `of_many`: ids of rows that have rows for single
    participants.
    """

    values: dict[str, str] = field(default_factory=dict)
    surveys: dict[str, str] = field(default_factory=dict)
    studies: dict[str, Study] = field(default_factory=dict)
    participants: frozenset[str] = frozenset()
    of_many: frozenset[int] = frozenset()


def names_of(session: Session, rows: Sequence[AuditRecord]) -> Names:
    """The names for these rows; one query for each kind of thing that they mention."""
    changed = {name for row in rows for name in _texts(row.detail.get("changed"))}
    values: dict[str, str] = {}
    for kind, model in (("field", CustomField), ("intervention", Intervention)):
        numbers = {int(name.partition(":")[2]) for name in changed if name.startswith(f"{kind}:")}
        if numbers:
            found = session.execute(sa.select(model.id, model.name).where(model.id.in_(numbers)))
            values |= {f"{kind}:{number}": name for number, name in found}
    studies = {row.study_object_id for row in rows} - {None}
    found_studies = _all(session, sa.select(Study), Study.object_id, studies)
    surveys = {row.detail.get("survey") for row in rows} - {None}
    found_surveys = _all(session, sa.select(Survey), Survey.object_id, surveys)
    patient_ids = {row.patient_id for row in rows} - {None}
    existing = (Participant.purged_at.is_(None),)
    participants = _all(
        session, sa.select(Participant.patient_id).where(*existing), Participant.patient_id, patient_ids
    )
    return Names(
        values,
        {survey.object_id: survey.name for survey in found_surveys},
        {study.object_id: study for study in found_studies},
        frozenset(participants),
        frozenset(_all(session, _wholes(), AuditRecord.id, {row.id for row in rows if row.patient_id is None})),
    )


def _wholes() -> sa.Select[tuple[int]]:
    part = orm.aliased(AuditRecord)
    return sa.select(AuditRecord.id).where(sa.exists().where(part.part_of == AuditRecord.id))


def _all(session: Session, query: sa.Select[Any], column: Any, values: Iterable[Any]) -> list[Any]:
    wanted = list(values)
    return list(session.scalars(query.where(column.in_(wanted)))) if wanted else []


def _texts(value: Any) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
