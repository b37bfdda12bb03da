"""Switches that operators set, and totals of work done by all processes (OPS-30, OPS-32)."""

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import CreatedAt, one_of


class SwitchName(StrEnum):
    """The switches for the whole site."""

    DOWNTIME = "downtime"


class Switch(Model):
    """A switch has a row while it is on; `turned_on_by` is a researcher's name, or null for a command."""

    __tablename__ = "switches"

    name: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    turned_on_at: Mapped[CreatedAt]
    turned_on_by: Mapped[str | None] = mapped_column(sa.Text)

    __table_args__ = (one_of("name", SwitchName),)


class Tally(Model):
    """How often something has happened since the site was set up, in all processes; for `/metrics`."""

    __tablename__ = "tallies"

    name: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    label: Mapped[str] = mapped_column(sa.Text, primary_key=True, server_default="")
    total: Mapped[int] = mapped_column(sa.BigInteger)
