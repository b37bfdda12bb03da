"""The site of new participants: who is limited to a site adds participants of that site alone (PERM-95, CLAR-22)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.limits import limit_in
from core.models import CustomField, Study
from core.participants.refusals import ParticipantRefused


@dataclass(frozen=True)
class OwnSites:
    """The custom field that limits the person's role in a study, and the values that it is limited to."""

    field_id: int
    heading: str
    values: Sequence[str]

    @property
    def column(self) -> str:
        """The name of the field's column."""
        return f"field:{self.field_id}"

    def chosen(self, typed: str) -> str:
        """The site of a new participant: the only one, or the one that was typed. Raises ParticipantRefused."""
        typed = typed.strip()
        if not typed and len(self.values) == 1:
            return self.values[0]
        if typed not in self.values:
            listed = ", ".join(self.values) or "there is none"
            raise ParticipantRefused(f"{self.heading}: choose one of those that your role is limited to ({listed}).")
        return typed


def own_sites(session: Session, study_id: int) -> OwnSites | None:
    """The sites that the session's person is limited to in the study; None without a limit, and then no query."""
    limit = limit_in(session, study_id)
    if limit is None:
        return None
    heading = session.scalars(sa.select(CustomField.name).filter_by(id=limit.field_id)).one()
    return OwnSites(limit.field_id, heading, limit.values)


def values_of_new(session: Session, study: Study, site: str) -> dict[str, str]:
    """What each new participant gets by the limit of the person who adds it, by column; empty without a limit.

    `site` is needed of people with several sites. Raises ParticipantRefused.
    """
    sites = own_sites(session, study.id)
    return {sites.column: sites.chosen(site)} if sites else {}


def rows_of_own_site(
    session: Session, study: Study, count: int, rows: list[dict[str, Any]] | None, site: str
) -> list[dict[str, Any]] | None:
    """The rows of a new batch, each with a site of the person who asks for it; unchanged without a limit.

    A row may name its site itself. Raises ParticipantRefused.
    """
    sites = own_sites(session, study.id)
    if sites is None:
        return rows
    if rows is None:
        rows = [{"external_id": None, "values": {}} for _ in range(count)]
    return [row | {"values": row["values"] | {sites.column: _site_of(row["values"], sites, site)}} for row in rows]


def _site_of(values: Mapping[str, str], sites: OwnSites, site: str) -> str:
    return sites.chosen(values.get(sites.column) or site)
