"""How a stream's table of data quantities is coloured and flagged unless a page says otherwise (PORTAL-225)."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model


class QuantityDefaults(Model):
    """One set for a study and stream. `low` and `high` in bytes, null without colours; flags as [operator, bytes]."""

    __tablename__ = "quantity_defaults"

    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True)
    stream: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True)
    low: Mapped[float | None]
    high: Mapped[float | None]
    flags: Mapped[list[list[str | float]]] = mapped_column(JSONB)
