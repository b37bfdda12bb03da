"""Switches for the whole site (OPS-30)."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.audit import Actor, record
from core.models import Switch, SwitchName
from core.models.audit_record import Action


def switch_of(session: Session, name: SwitchName) -> Switch | None:
    """The switch's row, which says when and by whom it was turned on; None while it is off."""
    return session.scalar(sa.select(Switch).where(Switch.name == name.value))


def is_on(connection: sa.Connection, name: SwitchName) -> bool:
    return bool(connection.scalar(sa.select(sa.exists().where(Switch.name == name.value))))


def turn_on(session: Session, name: SwitchName, *, actor: Actor) -> None:
    """Turns the switch on; no effect if it is on already. The caller commits."""
    session.execute(insert(Switch).values(name=name.value, turned_on_by=actor.name).on_conflict_do_nothing())
    record(session, actor, Action.DOWNTIME_ON)


def turn_off(session: Session, name: SwitchName, *, actor: Actor) -> None:
    """Turns the switch off. The caller commits."""
    session.execute(sa.delete(Switch).where(Switch.name == name.value))
    record(session, actor, Action.DOWNTIME_OFF)
