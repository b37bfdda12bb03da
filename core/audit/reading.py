"""What pages ask of the audit trail, the log of data access and the log of sign-ins (PORTAL-290)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.audit.paging import NEWEST, Listed, Page, Place, all_of, distinct_values, page_of
from core.models import AccessKind, AuditRecord, DataAccessRecord, SignInRecord, Study
from core.models.audit_record import Action
from core.models.sign_in_record import SignInOutcome

CHANGES = Listed(AuditRecord.at, AuditRecord.id)
ACCESSES = Listed(DataAccessRecord.started_at, DataAccessRecord.id)
SIGN_INS = Listed(SignInRecord.at, SignInRecord.id)


@dataclass(frozen=True)
class Period:
    """From `since` (included) until `until` (not included); None is open."""

    since: datetime | None = None
    until: datetime | None = None

    def of(self, column: InstrumentedAttribute[Any]) -> list[sa.ColumnElement[bool]]:
        """The conditions on a column of times."""
        bounds: list[sa.ColumnElement[bool]] = []
        if self.since:
            bounds.append(column >= self.since)
        if self.until:
            bounds.append(column < self.until)
        return bounds


ALWAYS = Period()


@dataclass(frozen=True)
class ChangeFilter:
    """Which rows of the audit trail are asked for; None leaves a condition out.

    `person` is the name of an actor. Rows for the single participants of a change of many come only if that change
    (`part_of`), or a participant, is asked for.
    """

    person: str | None = None
    action: Action | None = None
    patient_id: str | None = None
    part_of: int | None = None
    period: Period = ALWAYS


@dataclass(frozen=True)
class AccessFilter:
    """Which rows of the log of data access are asked for."""

    person: str | None = None
    patient_id: str | None = None
    period: Period = ALWAYS


@dataclass(frozen=True)
class SignInFilter:
    """Which rows of the log of sign-ins are asked for."""

    person: str | None = None
    outcome: SignInOutcome | None = None
    period: Period = ALWAYS


def changes(session: Session, study: Study | None, asked: ChangeFilter, place: Place = NEWEST) -> Page[AuditRecord]:
    """A page of the audit trail: of the study, or without one of the whole site."""
    return page_of(session, _changes(study, asked), CHANGES, place)


def all_changes(session: Session, study: Study | None, asked: ChangeFilter) -> Iterator[AuditRecord]:
    """Every row that the filter asks for, the newest first. Rows for single participants are always among them."""
    return all_of(session, _changes(study, asked, has_parts=True), CHANGES)


def people_of_changes(session: Session, study: Study | None) -> list[str]:
    """The names of all actors in the trail of the study, or of the site, sorted."""
    here: list[sa.ColumnElement[bool]] = [AuditRecord.part_of.is_(None)]
    if study:
        here.append(AuditRecord.study_object_id == study.object_id)
    return distinct_values(session, AuditRecord.actor_name, *here)


def accesses(session: Session, study: Study | None, asked: AccessFilter, place: Place = NEWEST) -> Page[Any]:
    """A page of the log of data access: rows with the record's columns, and the study's `name` and `object_id`."""
    return page_of(session, _accesses(study, asked), ACCESSES, place)


def all_accesses(session: Session, study: Study | None, asked: AccessFilter) -> Iterator[Any]:
    """Every row of the log of data access that the filter asks for, the newest first."""
    return all_of(session, _accesses(study, asked), ACCESSES)


def people_of_accesses(session: Session, study: Study | None) -> list[str]:
    """The names of all who read data of the study, or of the site, sorted."""
    here = [DataAccessRecord.study_id == study.id] if study else []
    return distinct_values(session, DataAccessRecord.username, *here)


def sign_ins(session: Session, asked: SignInFilter, place: Place = NEWEST) -> Page[SignInRecord]:
    """A page of the log of sign-ins."""
    return page_of(session, _sign_ins(asked), SIGN_INS, place)


def all_sign_ins(session: Session, asked: SignInFilter) -> Iterator[SignInRecord]:
    """Every row of the log of sign-ins that the filter asks for, the newest first."""
    return all_of(session, _sign_ins(asked), SIGN_INS)


def people_of_sign_ins(session: Session) -> list[str]:
    """The names of all accounts in the log of sign-ins, sorted."""
    return distinct_values(session, SignInRecord.username)


def _changes(study: Study | None, asked: ChangeFilter, *, has_parts: bool = False) -> sa.Select[tuple[AuditRecord]]:
    table = AuditRecord
    query = sa.select(table).where(*asked.period.of(table.at))
    if study:
        query = query.where(table.study_object_id == study.object_id)
    if asked.person is not None:
        query = query.where(table.actor_name == asked.person)
    if asked.action is not None:
        query = query.where(table.action == asked.action.value)
    if asked.patient_id is not None:
        query = query.where(table.patient_id == asked.patient_id)
    if asked.part_of is not None:
        return query.where(table.part_of == asked.part_of)
    return query if has_parts or asked.patient_id is not None else query.where(table.part_of.is_(None))


def _accesses(study: Study | None, asked: AccessFilter) -> sa.Select[Any]:
    table = DataAccessRecord
    columns = [column for column in table.__table__.columns if column.name not in ("parameters", "registry_entries")]
    query = sa.select(*columns, Study.name.label("study_name"), Study.object_id.label("study_object_id"))
    query = query.outerjoin(Study, Study.id == table.study_id).where(*asked.period.of(table.started_at))
    if study:
        query = query.where(table.study_id == study.id)
    if asked.person is not None:
        query = query.where(table.username == asked.person)
    if asked.patient_id is not None:
        # Without names, all participants of the study were read.
        everybody = sa.and_(table.patient_ids.is_(None), table.kind != AccessKind.AUDIT_TRAIL.value)
        query = query.where(sa.or_(everybody, table.patient_ids.has_key(asked.patient_id)))
    return query


def _sign_ins(asked: SignInFilter) -> sa.Select[tuple[SignInRecord]]:
    table = SignInRecord
    query = sa.select(table).where(*asked.period.of(table.at))
    if asked.person is not None:
        query = query.where(table.username == asked.person)
    if asked.outcome is not None:
        query = query.where(table.outcome == asked.outcome.value)
    return query
