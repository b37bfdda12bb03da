"""The versions of surveys as answers are read by them (CLAR-56). What was parsed is kept: versions never change."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any

import sqlalchemy as sa
from cachetools import LRUCache
from sqlalchemy.orm import Session

from core.answers.rules.wording import Wording, wordings_in
from core.models import SurveyVersion
from core.surveys.content import ContentRefused, decoded_content
from core.surveys.rules.translating import Texts, translated

MOST_KEPT = 500


@dataclass(frozen=True)
class ParsedContent:
    """The questions of a content by id, their wordings in order, and the digests of these."""

    questions: Mapping[str, Mapping[str, Any]]
    wordings: tuple[Wording, ...]
    digests: frozenset[bytes]


@dataclass(frozen=True)
class KnownVersion:
    """A version of a survey, in effect from `started_at` on."""

    id: int
    started_at: datetime
    content: ParsedContent


_kept: LRUCache[str, ParsedContent] = LRUCache(MOST_KEPT)
_keeping = Lock()


def versions_of(session: Session, survey_ids: Collection[int]) -> dict[int, list[KnownVersion]]:
    """The versions of these surveys by survey, oldest first. At most two queries; content is read once a process."""
    md5 = sa.func.md5(SurveyVersion.content)
    query = sa.select(SurveyVersion.survey_id, SurveyVersion.id, SurveyVersion.started_at, md5)
    query = query.where(SurveyVersion.survey_id.in_(survey_ids)).order_by(SurveyVersion.started_at, SurveyVersion.id)
    rows = session.execute(query).tuples().all() if survey_ids else []
    with _keeping:
        contents = {digest: _kept[digest] for *_, digest in rows if digest in _kept}
    missing = {digest: number for _, number, _, digest in rows if digest not in contents}
    if missing:
        texts = sa.select(md5, SurveyVersion.content).where(SurveyVersion.id.in_(missing.values()))
        read = {digest: parsed(text) for digest, text in session.execute(texts).tuples()}
        contents |= read
        with _keeping:
            _kept.update(read)
    found: dict[int, list[KnownVersion]] = {}
    for survey_id, number, started_at, digest in rows:
        found.setdefault(survey_id, []).append(KnownVersion(number, started_at, contents[digest]))
    return found


def parsed(text: str) -> ParsedContent:
    """The content of a version; what cannot be read has no questions."""
    try:
        content = decoded_content(text, is_null_empty=True)
    except ContentRefused:
        content = []
    return _parsed(content)


def in_languages(
    content: ParsedContent, translations: Sequence[Texts]
) -> list[tuple[ParsedContent, dict[bytes, Wording]]]:
    """The content in each language, with the base wording of each translated one by its digest (CLAR-55)."""
    found = []
    for texts in translations:
        other = _parsed(translated(list(content.questions.values()), texts))
        bases = {wording.question_id: wording for wording in content.wordings}
        found.append((other, {w.digest: bases[w.question_id] for w in other.wordings if w.question_id in bases}))
    return found


def _parsed(content: list[Any]) -> ParsedContent:
    named = [q for q in content if isinstance(q, dict) and isinstance(q.get("question_id"), str)]
    wordings = tuple(wordings_in(content))
    digests = frozenset(wording.digest for wording in wordings)
    return ParsedContent({q["question_id"].strip(): q for q in named}, wordings, digests)


def by_likelihood(versions: Sequence[KnownVersion], at: datetime) -> list[KnownVersion]:
    """The version of that moment first, then earlier ones, which a phone may still have had, then later ones."""
    earlier = [version for version in versions if version.started_at <= at]
    later = versions[len(earlier) :]
    return [*reversed(earlier), *later]
