"""The colours and flags that a stream's table has unless a page says otherwise (PORTAL-225)."""

from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.models import QuantityDefaults, Study
from core.models.audit_record import Action
from core.quantities.marking import Marking, flags_of_pairs
from core.streams import SPECS, DataStream


def save_defaults(session: Session, study: Study, stream: DataStream, marking: Marking, *, actor: Actor) -> None:
    """Replaces the study's set for this stream; the caller commits."""
    values: dict[str, Any] = {
        "low": marking.low if marking.has_colour else None,
        "high": marking.high if marking.has_colour else None,
        "flags": [[flag.operator.value, flag.number] for flag in marking.flags],
    }
    row = insert(QuantityDefaults).values(study_id=study.id, stream=SPECS[stream].number, **values)
    session.execute(row.on_conflict_do_update(index_elements=["study_id", "stream"], set_=values))
    record(session, actor, Action.QUANTITY_DEFAULTS, study=study, stream=stream.value, **values)


def defaults_of(session: Session, study: Study, stream: DataStream) -> Marking:
    """The study's set for this stream; without colours and flags where nothing was saved."""
    row = session.get(QuantityDefaults, (study.id, SPECS[stream].number))
    if row is None:
        return Marking()
    return Marking(row.low is not None, row.low or 0, row.high or 0, flags_of_pairs(row.flags))
