"""Keeps translations that are about to change or to go, since answers in their texts may still come (CLAR-56)."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.bulk import is_one_of
from core.models import FormerTranslation, SurveyTranslation

MOST_READ = 50
"""How many of a survey's former translations answers are read by, the newest ones."""


def keep_translations(session: Session, now: datetime, *which: sa.ColumnElement[bool]) -> None:
    """Keeps the texts of these translations, as they are stored now; the caller commits. Each is kept once."""
    texts = SurveyTranslation.texts
    digest = sa.func.sha256(sa.func.convert_to(sa.cast(texts, sa.Text), "UTF8"))
    at = sa.literal(now, sa.DateTime(timezone=True))
    rows = sa.select(SurveyTranslation.survey_id, texts, digest, at).where(texts != sa.text("'{}'::jsonb"), *which)
    kept = insert(FormerTranslation).from_select(["survey_id", "texts", "digest", "replaced_at"], rows)
    same = [FormerTranslation.survey_id, FormerTranslation.digest]
    session.execute(kept.on_conflict_do_update(index_elements=same, set_={"replaced_at": kept.excluded.replaced_at}))


def former_texts_of_surveys(session: Session, survey_ids: Collection[int]) -> dict[int, list[Mapping[str, Any]]]:
    """The former translations of these surveys, the newest first; one query."""
    nth = sa.func.row_number().over(
        partition_by=FormerTranslation.survey_id,
        order_by=(FormerTranslation.replaced_at.desc(), FormerTranslation.id.desc()),
    )
    rows = sa.select(FormerTranslation.survey_id, FormerTranslation.texts, nth.label("nth")).where(
        is_one_of(FormerTranslation.survey_id, survey_ids)
    )
    ordered = rows.subquery()
    query = sa.select(ordered.c.survey_id, ordered.c.texts).where(ordered.c.nth <= MOST_READ).order_by(ordered.c.nth)
    found: dict[int, list[Mapping[str, Any]]] = {}
    for survey_id, texts in session.execute(query):
        found.setdefault(survey_id, []).append(texts)
    return found
