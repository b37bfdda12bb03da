"""Records of downloads: who asked for which data (DATA-26)."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import At, CreatedAt, Id


class DataAccessRecord(Model):
    """One get-data request. `parameters` holds no secrets; `ended_at` is null while it runs, or if it broke off."""

    __tablename__ = "data_access_records"

    id: Mapped[Id]
    researcher_id: Mapped[int | None] = mapped_column(sa.ForeignKey("researchers.id", ondelete="SET NULL"), index=True)
    username: Mapped[str] = mapped_column(sa.Text)
    study_id: Mapped[int | None] = mapped_column(sa.ForeignKey("studies.id", ondelete="RESTRICT"), index=True)
    parameters: Mapped[dict[str, Any]] = mapped_column(JSONB)
    registry_entries: Mapped[int | None]
    started_at: Mapped[CreatedAt]
    ended_at: Mapped[At | None]
    size_bytes: Mapped[int | None] = mapped_column(sa.BigInteger)
    error: Mapped[str | None] = mapped_column(sa.Text)
