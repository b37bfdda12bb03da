"""Forms that were sent in, by the random key in each shown page: a second press of a button does nothing twice."""

import uuid

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import CreatedAt


class UsedForm(Model):
    """A form that was sent in. Its key says nothing of its content, nor of who sent it."""

    __tablename__ = "used_forms"

    key: Mapped[uuid.UUID] = mapped_column(sa.Uuid(), primary_key=True)
    used_at: Mapped[CreatedAt] = mapped_column(index=True)
