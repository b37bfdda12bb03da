"""Studies whose scheduled events must still be updated after a change (NOTIF-7, CLAR-14)."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import CreatedAt


class EventRebuild(Model):
    """A study too large to update its events within the change itself. The row is deleted when they are up to date.

    `asked_at` is when the newest change was made: a rebuild that began before it does not count.
    """

    __tablename__ = "event_rebuilds"

    study_id: Mapped[int] = mapped_column(sa.ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True)
    asked_at: Mapped[CreatedAt]
