"""The list of a study's participants: search, filter, sort and page in the database (PORTAL-110 to PORTAL-114).

Two queries for each page: one counts, for the filters; one reads fifty rows. In the orders `id` and `created` the
second follows an index, whatever the size of the study.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import Participant, ParticipantActivity
from core.participants.states import Show, State, conditions, state_of

ROWS = 50
LONGEST_ID = 8


class Sort(StrEnum):
    """A column that the list can be ordered by."""

    ID = "id"
    UPLOAD = "upload"
    REGISTERED = "registered"
    CREATED = "created"


SORT_COLUMNS: dict[Sort, Any] = {
    Sort.ID: Participant.patient_id,
    Sort.UPLOAD: ParticipantActivity.last_upload_at,
    Sort.REGISTERED: ParticipantActivity.first_registered_at,
    Sort.CREATED: Participant.created_at,
}
ROW_COLUMNS = (
    Participant.patient_id,
    Participant.os_type,
    Participant.device_id,
    Participant.retired_at,
    Participant.purge_asked_at,
    Participant.purged_at,
    Participant.created_at,
    ParticipantActivity.last_upload_at,
    ParticipantActivity.first_registered_at,
    ParticipantActivity.last_os_version,
    ParticipantActivity.last_version_name,
)


@dataclass(frozen=True)
class ListQuery:
    """Parameters of the list. `search` is part of an id in lower case; `page` counts from 1."""

    search: str = ""
    show: Show = Show.ALL
    sort: Sort = Sort.CREATED
    is_ascending: bool = False
    page: int = 1


@dataclass(frozen=True)
class ListedParticipant:
    """One row of the list. Unknown times and versions are None."""

    patient_id: str
    state: State
    os_type: str | None
    os_version: str | None
    app_version: str | None
    created_at: datetime
    registered_at: datetime | None
    last_upload_at: datetime | None


@dataclass(frozen=True)
class ListPage:
    """Fifty participants or fewer. `counts` is by filter, within the search; `is_inside`: the search's text was found
    inside ids, because none begins with it."""

    query: ListQuery
    rows: list[ListedParticipant]
    counts: dict[Show, int]
    is_inside: bool = False

    @property
    def total(self) -> int:
        return self.counts[self.query.show]

    @property
    def first(self) -> int:
        return (self.query.page - 1) * ROWS + 1

    @property
    def last(self) -> int:
        return min(self.query.page * ROWS, self.total)

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // ROWS))


def list_participants(session: Session, study_id: int, query: ListQuery, now: datetime) -> ListPage:
    """One page of the study's participants. A page number beyond the last gives the last page."""
    found = _begins_with(query.search)
    counts = _counts(session, study_id, found, now)
    is_inside = bool(query.search) and counts[Show.ALL] == 0
    if is_inside:
        found = Participant.patient_id.contains(query.search, autoescape=True)
        counts = _counts(session, study_id, found, now)
    query = replace(query, page=min(query.page, max(1, -(-counts[query.show] // ROWS))))
    rows = [_listed(row, now) for row in session.execute(page_of_rows(study_id, query, found, now))]
    return ListPage(query, rows, counts, is_inside)


def page_of_rows(study_id: int, query: ListQuery, found: sa.ColumnElement[bool], now: datetime) -> sa.Select[Any]:
    """Selects the rows of one page. Ids are selected first, so that skipped rows are not joined."""
    column = SORT_COLUMNS[query.sort]
    order = [column.asc() if query.is_ascending else column.desc()]
    if query.sort in (Sort.UPLOAD, Sort.REGISTERED):
        order[0] = order[0].nulls_last()  # both ways (PORTAL-112); the others are never null, and an index is followed
    if query.sort is not Sort.ID:
        order.append(Participant.patient_id.asc())
    chosen = (
        _of_study(sa.select(Participant.id).outerjoin(ParticipantActivity), study_id)
        .where(found, conditions(now)[query.show])
        .order_by(*order)
        .limit(ROWS)
        .offset((query.page - 1) * ROWS)
        .subquery()
    )
    return (
        sa.select(*ROW_COLUMNS)
        .join(chosen, chosen.c.id == Participant.id)
        .outerjoin(ParticipantActivity, ParticipantActivity.participant_id == Participant.id)
        .order_by(*order)
    )


def _listed(row: sa.Row[Any], now: datetime) -> ListedParticipant:
    return ListedParticipant(
        patient_id=row.patient_id,
        state=state_of(row, row, now),
        os_type=row.os_type,
        os_version=row.last_os_version,
        app_version=row.last_version_name,
        created_at=row.created_at,
        registered_at=row.first_registered_at,
        last_upload_at=row.last_upload_at,
    )


def _of_study(select: sa.Select[Any], study_id: int) -> sa.Select[Any]:
    return select.where(Participant.study_id == study_id, Participant.purged_at.is_(None))


def _counts(session: Session, study_id: int, found: sa.ColumnElement[bool], now: datetime) -> dict[Show, int]:
    counts = [sa.func.count().filter(condition).label(show.value) for show, condition in conditions(now).items()]
    select = sa.select(*counts).select_from(Participant).outerjoin(ParticipantActivity).where(found)
    row = session.execute(_of_study(select, study_id)).one()
    return {show: getattr(row, show.value) for show in Show}


def _begins_with(search: str) -> sa.ColumnElement[bool]:
    """A range of the index on ids, and a second condition for databases with another sort order of texts."""
    if not search:
        return sa.true()
    return sa.and_(
        Participant.patient_id.between(search, search + "z" * LONGEST_ID),
        sa.func.starts_with(Participant.patient_id, search),
    )
