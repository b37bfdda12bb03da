"""The list of a study's participants: search, filters, order and pages in the database (PORTAL-110 to PORTAL-114).

Two queries for each page: one counts, for the filters; one reads fifty rows with the values of their fields. In the
orders `id` and `created` the second follows an index, whatever the size of the study.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from core.models import (
    Departure,
    FieldValue,
    InterventionDate,
    Participant,
    ParticipantActivity,
    Pause,
)
from core.participants.states import Show, State, conditions, state_of

ROWS = 50
LONGEST_SEARCH = 60

SORT_COLUMNS: dict[str, Any] = {
    "id": Participant.patient_id,
    "external": sa.func.lower(Participant.external_id),
    "phone": Participant.os_type,
    "zone": Participant.timezone_name,
    "created": Participant.created_at,
    "upload": ParticipantActivity.last_upload_at,
    "registered": ParticipantActivity.first_registered_at,
    "heartbeat": ParticipantActivity.last_heartbeat_at,
    "surveys": ParticipantActivity.last_surveys_at,
    "settings": ParticipantActivity.last_settings_at,
}
"""What the list can be ordered by, beside `field:<id>` and `intervention:<id>`."""
_NEVER_NULL = ("id", "created")
_COLUMNS = (
    Participant.id,
    Participant.patient_id,
    Participant.external_id,
    Participant.is_test,
    Participant.os_type,
    Participant.device_id,
    Participant.timezone_name,
    Participant.retired_at,
    Participant.purge_asked_at,
    Participant.purged_at,
    Participant.created_at,
    ParticipantActivity.last_upload_at,
    ParticipantActivity.first_registered_at,
    ParticipantActivity.last_heartbeat_at,
    ParticipantActivity.last_surveys_at,
    ParticipantActivity.last_settings_at,
    ParticipantActivity.last_os_version,
    ParticipantActivity.last_version_name,
)


@dataclass(frozen=True)
class ListQuery:
    """What of the list is asked for.

    `search`: text in an id, an external id, a platform or a field's value, in lower case. `platform` and `version`:
    those of the phone. `field_id` with `value`: participants with that value of a custom field, any case; an empty
    value asks for those without one. `has_tests`: test participants too. `page` counts from 1.
    """

    search: str = ""
    show: Show = Show.ALL
    platform: str = ""
    version: str = ""
    field_id: int = 0
    value: str = ""
    has_tests: bool = False
    sort: str = "created"
    is_ascending: bool = False
    page: int = 1

    @property
    def is_filtered(self) -> bool:
        """Whether it asks for less than everybody."""
        return bool(self.search or self.platform or self.version or self.field_id or self.show is not Show.ALL)


@dataclass(frozen=True)
class ListedParticipant:
    """One row of the list; what is not known is None. `values` holds fields and dates by the names of columns."""

    id: int
    patient_id: str
    external_id: str | None
    is_test: bool
    state: State
    is_paused: bool
    departure: str | None
    os_type: str | None
    os_version: str | None
    app_version: str | None
    zone_name: str | None
    created_at: datetime
    registered_at: datetime | None
    last_upload_at: datetime | None
    last_heartbeat_at: datetime | None
    last_surveys_at: datetime | None
    last_settings_at: datetime | None
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ListPage:
    """Fifty participants or fewer. `counts` is by filter, within all else that is asked for; `tests` are left out.

    `is_inside`: the search's text was found inside ids, names or values, because no id begins with it.
    """

    query: ListQuery
    rows: list[ListedParticipant]
    counts: dict[Show, int]
    tests: int
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
    counts, tests = _counts(session, study_id, query, found, now)
    is_inside = bool(query.search) and counts[Show.ALL] == 0
    if is_inside:
        found = _contains(query.search)
        counts, tests = _counts(session, study_id, query, found, now)
    query = replace(query, page=min(query.page, max(1, -(-counts[query.show] // ROWS))))
    rows = [_listed(row, now) for row in session.execute(page_of_rows(study_id, query, found, now))]
    return ListPage(query, rows, counts, tests, is_inside)


def ids_of_list(session: Session, study_id: int, query: ListQuery, now: datetime) -> list[int]:
    """Numbers of all participants that the query finds, on all pages, by patient id."""
    found = _begins_with(query.search)
    for condition in (found, _contains(query.search)) if query.search else (found,):
        select = _asked_for(sa.select(Participant.id), study_id, query, condition).where(conditions(now)[query.show])
        if numbers := list(session.scalars(select.order_by(Participant.patient_id))):
            return numbers
    return []


def all_rows(session: Session, study_id: int, numbers: list[int], now: datetime) -> Iterator[ListedParticipant]:
    """The rows of these participants, by patient id, a thousand to a query."""
    for start in range(0, len(numbers), 1_000):
        part = numbers[start : start + 1_000]
        select = _rows().where(Participant.study_id == study_id, Participant.id.in_(part))
        for row in session.execute(select.order_by(Participant.patient_id)):
            yield _listed(row, now)


def page_of_rows(study_id: int, query: ListQuery, found: sa.ColumnElement[bool], now: datetime) -> sa.Select[Any]:
    """The rows of one page. Ids are chosen first, so that pages far behind do not join what they skip."""
    column, joined = _sort_column(query.sort)
    order = [column.asc() if query.is_ascending else column.desc()]
    if query.sort not in _NEVER_NULL:
        order[0] = order[0].nulls_last()  # both ways (PORTAL-112); the others are never null, and an index is followed
    if query.sort != "id":
        order.append(Participant.patient_id.asc())
    ids = _asked_for(sa.select(Participant.id), study_id, query, found)
    for table, on in joined:
        ids = ids.outerjoin(table, on)
    ids = ids.where(conditions(now)[query.show]).order_by(*order).limit(ROWS).offset((query.page - 1) * ROWS)
    chosen = ids.add_columns(sa.func.row_number().over(order_by=order).label("place")).subquery()
    return _rows().join(chosen, chosen.c.id == Participant.id).order_by(chosen.c.place)


def _rows() -> sa.Select[Any]:
    """Each participant with its activity, its state and the values of its fields, as JSON objects by number."""
    of_participant = FieldValue.participant_id == Participant.id
    fields = sa.select(sa.func.jsonb_object_agg(FieldValue.field_id, FieldValue.value)).where(of_participant)
    dated = InterventionDate.participant_id == Participant.id
    dates = sa.select(sa.func.jsonb_object_agg(InterventionDate.intervention_id, InterventionDate.happens_on))
    lasts = sa.and_(Pause.starts_at <= sa.func.now(), sa.or_(Pause.ends_at.is_(None), Pause.ends_at > sa.func.now()))
    left = sa.select(Departure.kind).where(Departure.participant_id == Participant.id)
    return sa.select(
        *_COLUMNS,
        fields.scalar_subquery().label("fields"),
        dates.where(dated).scalar_subquery().label("dates"),
        sa.exists().where(Pause.participant_id == Participant.id, lasts).label("is_paused"),
        left.scalar_subquery().label("departure"),
    ).outerjoin(ParticipantActivity, ParticipantActivity.participant_id == Participant.id)


def _listed(row: sa.Row[Any], now: datetime) -> ListedParticipant:
    values = {f"field:{number}": value for number, value in (row.fields or {}).items()}
    values |= {f"intervention:{number}": on for number, on in (row.dates or {}).items()}
    return ListedParticipant(
        id=row.id,
        patient_id=row.patient_id,
        external_id=row.external_id,
        is_test=row.is_test,
        state=state_of(row, row, now),
        is_paused=row.is_paused,
        departure=row.departure,
        os_type=row.os_type,
        os_version=row.last_os_version,
        app_version=row.last_version_name,
        zone_name=row.timezone_name,
        created_at=row.created_at,
        registered_at=row.first_registered_at,
        last_upload_at=row.last_upload_at,
        last_heartbeat_at=row.last_heartbeat_at,
        last_surveys_at=row.last_surveys_at,
        last_settings_at=row.last_settings_at,
        values=values,
    )


def _sort_column(name: str) -> tuple[Any, list[tuple[Any, Any]]]:
    """The column to order by, and what must be joined for it: an alias, because filters select from the same tables."""
    if name in SORT_COLUMNS:
        return SORT_COLUMNS[name], []
    kind, _, number = name.partition(":")
    if kind == "field":
        value = aliased(FieldValue)
        is_it = sa.and_(value.participant_id == Participant.id, value.field_id == int(number))
        return sa.func.lower(value.value), [(value, is_it)]
    dated = aliased(InterventionDate)
    is_it = sa.and_(dated.participant_id == Participant.id, dated.intervention_id == int(number))
    return dated.happens_on, [(dated, is_it)]


def _asked_for(
    select: sa.Select[Any], study_id: int, query: ListQuery, found: sa.ColumnElement[bool], *, has_tests: bool = False
) -> sa.Select[Any]:
    """Everybody whom the query finds, whatever the state; purged ones are in no list (PORTAL-113)."""
    select = select.select_from(Participant).outerjoin(
        ParticipantActivity, ParticipantActivity.participant_id == Participant.id
    )
    select = select.where(Participant.study_id == study_id, Participant.purged_at.is_(None), found)
    if not (query.has_tests or has_tests):
        select = select.where(Participant.is_test.is_(False))
    if query.platform:
        select = select.where(Participant.os_type == query.platform)
    if query.version:
        select = select.where(ParticipantActivity.last_version_name == query.version)
    if query.field_id:
        of_field = sa.and_(FieldValue.participant_id == Participant.id, FieldValue.field_id == query.field_id)
        has_value = sa.func.left(sa.func.lower(FieldValue.value), 100) == sa.func.left(sa.func.lower(query.value), 100)
        select = select.where(sa.exists().where(of_field, has_value) if query.value else ~sa.exists().where(of_field))
    return select


def _counts(
    session: Session, study_id: int, query: ListQuery, found: sa.ColumnElement[bool], now: datetime
) -> tuple[dict[Show, int], int]:
    """How many each filter shows, and how many test participants are left out."""
    is_shown = sa.true() if query.has_tests else Participant.is_test.is_(False)
    counts = [
        sa.func.count().filter(sa.and_(is_shown, condition)).label(show.value)
        for show, condition in conditions(now).items()
    ]
    tests = sa.func.count().filter(sa.not_(is_shown)).label("tests")
    row = session.execute(_asked_for(sa.select(*counts, tests), study_id, query, found, has_tests=True)).one()
    return {show: getattr(row, show.value) for show in Show}, row.tests


def _begins_with(search: str) -> sa.ColumnElement[bool]:
    """Ids that begin so, by a range of their index; the second condition holds where text sorts in another way."""
    if not search:
        return sa.true()
    return sa.and_(
        Participant.patient_id.between(search, search + "z" * 8),
        sa.func.starts_with(Participant.patient_id, search),
    )


def _contains(search: str) -> sa.ColumnElement[bool]:
    """The text anywhere in an id, an external id, a platform's name or a value of a field (PORTAL-111)."""
    value = sa.func.lower(FieldValue.value).contains(search, autoescape=True)
    return sa.or_(
        Participant.patient_id.contains(search, autoescape=True),
        sa.func.lower(Participant.external_id).contains(search, autoescape=True),
        sa.func.lower(Participant.os_type).contains(search, autoescape=True),
        sa.exists().where(FieldValue.participant_id == Participant.id, value),
    )
