"""The wordings of a survey's questions as rows: each is numbered once, and keeps its number (CLAR-56)."""

from collections.abc import Collection, Iterable
from itertools import chain
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.answers.rules.wording import Wording
from core.answers.versions import KnownVersion, versions_of
from core.bulk import is_one_of
from core.models import QuestionWording, Survey


def record_wordings_of_versions(session: Session, survey_id: int) -> None:
    """Numbers the questions of all versions of the survey that have no number yet; the caller commits."""
    ensure_wordings(session, survey_id, versions_of(session, [survey_id]).get(survey_id, []), ())


def ensure_wordings(
    session: Session, survey_id: int, versions: Collection[KnownVersion], of_files: Collection[Wording]
) -> dict[bytes, int]:
    """The numbers of rows of these wordings by digest; missing ones are made, those of versions first.

    Locks the survey's row where one is missing, so that two do not number at once. The caller commits.
    """
    wanted = {wording.digest for wording in of_files}
    if not of_files:
        wanted = set().union(*(version.content.digests for version in versions))
    known = _known(session, survey_id, wanted)
    if wanted <= known.keys():
        return known
    session.execute(sa.select(Survey.id).where(Survey.id == survey_id).with_for_update(key_share=True))
    rows = _missing(session, survey_id, versions, of_files)
    if rows:
        session.execute(sa.insert(QuestionWording), rows)
    return _known(session, survey_id, wanted)


def _known(session: Session, survey_id: int, digests: Iterable[bytes]) -> dict[bytes, int]:
    query = sa.select(QuestionWording.digest, QuestionWording.id)
    query = query.where(QuestionWording.survey_id == survey_id, is_one_of(QuestionWording.digest, digests))
    return dict(session.execute(query).tuples().all())


def _missing(
    session: Session, survey_id: int, versions: Collection[KnownVersion], of_files: Iterable[Wording]
) -> list[dict[str, Any]]:
    """Rows to insert: a new question gets the next number, a new wording of a known one its next revision."""
    columns = (QuestionWording.digest, QuestionWording.question_id, QuestionWording.number, QuestionWording.revision)
    query = sa.select(*columns).where(QuestionWording.survey_id == survey_id)
    known = session.execute(query.order_by(QuestionWording.number, QuestionWording.revision)).all()
    digests = {row.digest for row in known}
    newest = {row.question_id: (row.number, row.revision) for row in known}
    last = max((row.number for row in known), default=0)
    rows = []
    of_versions = ((wording, version.id) for version in versions for wording in version.content.wordings)
    for wording, version_id in chain(of_versions, ((wording, None) for wording in of_files)):
        if wording.digest in digests:
            continue
        number, revision = newest.get(wording.question_id, (last + 1, 0))
        last = max(last, number)
        newest[wording.question_id] = number, revision + 1
        digests.add(wording.digest)
        rows.append(_row(survey_id, wording, number, revision + 1, version_id))
    return rows


def _row(survey_id: int, wording: Wording, number: int, revision: int, version_id: int | None) -> dict[str, Any]:
    return {
        "survey_id": survey_id,
        "question_id": wording.question_id,
        "number": number,
        "revision": revision,
        "digest": wording.digest,
        "kind": wording.kind,
        "text": wording.text,
        "options": list(wording.options),
        "least": wording.least,
        "most": wording.most,
        "field_type": wording.field_type,
        "survey_version_id": version_id,
    }
