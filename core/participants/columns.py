"""The columns of the participants' table: which there are in a study, and which a researcher chose (PORTAL-113)."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.models import CustomField, Intervention, ParticipantColumns


@dataclass(frozen=True)
class Column:
    """A column: its name in addresses and its heading. The patient id and the state are always shown.

    Names are those below, `field:<id>` for a custom field and `intervention:<id>` for the date of an intervention.
    """

    name: str
    heading: str

    @property
    def is_value(self) -> bool:
        """Whether it is a custom field or an intervention, and so can be edited."""
        return ":" in self.name

    @property
    def is_field(self) -> bool:
        return self.name.startswith("field:")

    @property
    def number(self) -> int:
        """The number of the custom field or intervention; 0 of others."""
        return int(self.name.partition(":")[2] or 0)


FIXED = (
    Column("upload", "Last upload"),
    Column("phone", "Phone"),
    Column("external", "External id"),
    Column("registered", "Registered"),
    Column("created", "Created"),
    Column("heartbeat", "Last heartbeat"),
    Column("surveys", "Surveys fetched"),
    Column("settings", "Settings fetched"),
    Column("zone", "Zone of the phone"),
)
SHOWN_AT_FIRST = ("upload", "phone", "registered")


def columns_of_study(session: Session, study_id: int) -> list[Column]:
    """Every column there is: the fixed ones, interventions by name, custom fields by name; one query."""
    names = [
        sa.select(sa.literal(prefix).label("prefix"), model.id, model.name).where(model.study_id == study_id)
        for prefix, model in (("intervention", Intervention), ("field", CustomField))
    ]
    rows = session.execute(sa.union_all(*names)).all()
    rows = sorted(rows, key=lambda row: (row.prefix != "intervention", row.name.lower(), row.id))
    return [*FIXED, *(Column(f"{row.prefix}:{row.id}", row.name) for row in rows)]


def chosen_columns(session: Session, researcher_id: int, study_id: int, there_are: Sequence[Column]) -> list[Column]:
    """Those that the researcher chose; at first the usual ones, and all interventions and fields."""
    chosen = session.get(ParticipantColumns, (researcher_id, study_id))
    if chosen is None:
        return [column for column in there_are if column.name in SHOWN_AT_FIRST or column.is_value]
    return [column for column in there_are if column.name in chosen.names]


def choose_columns(session: Session, researcher_id: int, study_id: int, names: Sequence[str]) -> None:
    """Keeps the choice of this person in this study; the caller commits."""
    row = insert(ParticipantColumns).values(researcher_id=researcher_id, study_id=study_id, names=list(names))
    session.execute(
        row.on_conflict_do_update(index_elements=["researcher_id", "study_id"], set_={"names": row.excluded.names})
    )
