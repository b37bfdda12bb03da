"""Translations as phones may have had them, for answers that come later."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Model
from core.models.columns import At, Id


class FormerTranslation(Model):
    """The texts of a translation before it was changed, or its language removed; see `SurveyTranslation`.

    Phones keep the surveys that they have, and upload answers later: answers whose texts are of that translation are
    read by it (CLAR-56). `digest` is the SHA-256 of `texts`, so that each is kept once.
    """

    __tablename__ = "former_translations"

    id: Mapped[Id]
    survey_id: Mapped[int] = mapped_column(sa.ForeignKey("surveys.id", ondelete="CASCADE"))
    texts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    digest: Mapped[bytes] = mapped_column(sa.LargeBinary)
    replaced_at: Mapped[At]

    __table_args__ = (sa.UniqueConstraint("survey_id", "digest"),)
