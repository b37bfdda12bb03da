"""Switches for the whole site (OPS-30)."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.models import Switch, SwitchName


def switch_of(session: Session, name: SwitchName) -> Switch | None:
    """When and by whom it was turned on; None while it is off."""
    return session.scalar(sa.select(Switch).where(Switch.name == name.value))


def is_on(connection: sa.Connection, name: SwitchName) -> bool:
    return bool(connection.scalar(sa.select(sa.exists().where(Switch.name == name.value))))


def turn_on(session: Session, name: SwitchName, by: str | None = None) -> None:
    """The caller commits. One that is on already stays as it is."""
    session.execute(insert(Switch).values(name=name.value, turned_on_by=by).on_conflict_do_nothing())


def turn_off(session: Session, name: SwitchName) -> None:
    """The caller commits."""
    session.execute(sa.delete(Switch).where(Switch.name == name.value))
