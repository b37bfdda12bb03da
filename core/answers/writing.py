"""Writes what arrived as submissions with their answers, in bulk and in the caller's transaction (CLAR-56)."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.answers.arriving import ArrivedFile
from core.answers.counting import LOOK_BACK, Touched, record_counted_events
from core.answers.outcomes import settle_outcomes
from core.answers.reading import AnswerState, ReadAnswer, read_answers
from core.answers.rules.wording import Wording, wording_in_file
from core.answers.settled import new_submissions_settled, older_submissions_settled
from core.answers.texts import seal_texts
from core.answers.versions import KnownVersion, by_likelihood, in_languages, versions_of
from core.answers.wordings import ensure_wordings
from core.bulk import given_rows, is_one_of
from core.models import Participant, Standing, StoredObject, Submission, Survey, Tallied
from core.storage.sealed import SUFFIX
from core.streams.paths import survey_of_path, without_duplicate_mark
from core.surveys.rules.answer_files import ANSWERS_HEADER
from core.surveys.rules.translating import Texts
from core.surveys.translations import texts_of_surveys

log = logging.getLogger(__name__)

HEADER = ANSWERS_HEADER.partition(",")[0].encode()
MOST_ROWS = 1_000
UNKNOWN_SURVEY = "of a survey that is not known here"
NO_ROWS = "no answers in it"
UNREADABLE = "the file cannot be read"


@dataclass(frozen=True)
class _Read:
    """A file with its rows and their wordings, the survey and version that they are of, and what was wrong.

    Wordings are those of the base language.
    """

    file: ArrivedFile
    survey_id: int | None
    version: KnownVersion | None
    rows: Sequence[tuple[ReadAnswer, Wording]]
    problem: str | None
    is_duplicate: bool

    @property
    def texts(self) -> dict[int, str]:
        """What is kept sealed, by place: typed answers, and what could not be mapped."""
        return {
            place: row.text
            for place, (row, _) in enumerate(self.rows)
            if row.text and row.number is None and not row.indices
        }


def write_submissions(
    session: Session, participant: Participant, files: Sequence[ArrivedFile], now: datetime, *, is_new: bool
) -> list[int]:
    """Writes a submission with its answers for each file that has none, and settles what follows; returns their ids.

    The participant's study has its key loaded, and nobody else works on the participant's files. A file that cannot be
    read becomes a submission with its problem. About ten statements, whatever the number of files; the caller commits.
    """
    if not files:
        return []
    read = _read_all(session, participant, files)
    wordings = _wordings(session, read)
    ids = _insert_submissions(session, participant, read, is_new=is_new)
    written = [(ids[each.file.path], each) for each in read if each.file.path in ids]
    rows = [row for number, each in written for row in _answer_rows(number, each, wordings)]
    _insert_answers(session, participant.id, rows)
    _add_tallies(session, participant.id, rows)
    _settle(session, participant, [each for _, each in written], now, is_new=is_new)
    counted = [number for number, each in written if not each.is_duplicate]
    if is_new:
        new_submissions_settled(session, counted)
    else:
        older_submissions_settled(session, counted)
    return list(ids.values())


def _read_all(session: Session, participant: Participant, files: Sequence[ArrivedFile]) -> list[_Read]:
    names = {file.path: survey_of_path(file.path) for file in files}
    query = sa.select(Survey.object_id, Survey.id).where(
        is_one_of(Survey.object_id, set(filter(None, names.values()))), Survey.study_id == participant.study_id
    )
    surveys = dict(session.execute(query).tuples().all())
    versions = versions_of(session, surveys.values())
    translations = texts_of_surveys(session, surveys.values())
    duplicates = _duplicates(session, files)
    read = []
    for file in files:
        survey_id = surveys.get(names[file.path] or "")
        of_survey = by_likelihood(versions.get(survey_id or 0, []), file.submitted_at)
        if file.path in duplicates:
            read.append(_Read(file, survey_id, None, (), file.problem, True))
        elif survey_id is None:
            read.append(_Read(file, None, None, (), file.problem or UNKNOWN_SURVEY, False))
        elif file.contents is None:
            read.append(_Read(file, survey_id, of_survey[0] if of_survey else None, (), file.problem, False))
        else:
            read.append(_read_file(file, survey_id, of_survey, translations.get(survey_id, ())))
    return read


def _read_file(
    file: ArrivedFile, survey_id: int, versions: Sequence[KnownVersion], translations: Sequence[Texts]
) -> _Read:
    assert file.contents is not None
    try:
        version, rows = read_by_version(file.contents, versions, translations)
        problem = _problem(file.contents, version, rows)
        distinct: dict[str, tuple[ReadAnswer, Wording]] = {}
        for row in rows[:MOST_ROWS]:
            distinct.setdefault(row[0].question_id, row)
        return _Read(file, survey_id, version, list(distinct.values()), problem, False)
    except Exception:  # whatever a phone sends, processing goes on; the submission says so
        log.exception("a file of answers cannot be read: %s", file.path)
        return _Read(file, survey_id, versions[0] if versions else None, (), UNREADABLE, False)


def read_by_version(
    contents: bytes, versions: Sequence[KnownVersion], translations: Sequence[Texts] = ()
) -> tuple[KnownVersion | None, list[tuple[ReadAnswer, Wording]]]:
    """The version whose questions the file has, the likeliest first and in any language, and the rows read by it.

    If no version has all of them, it is the likeliest, and each row is read by the first version that knows it.
    """
    tried: set[frozenset[bytes]] = set()
    for version in versions:
        if version.content.digests in tried:
            continue
        tried.add(version.content.digests)
        for content, bases in ((version.content, {}), *in_languages(version.content, translations)):
            rows = [(row, wording_in_file(row)) for row in read_answers(contents, [content.questions])]
            if all(wording.digest in content.digests for _, wording in rows):
                return version, [(row, bases.get(wording.digest, wording)) for row, wording in rows]
    found = read_answers(contents, [version.content.questions for version in versions])
    return (versions[0] if versions else None), [(row, wording_in_file(row)) for row in found]


def _problem(contents: bytes, version: KnownVersion | None, rows: Sequence[tuple[ReadAnswer, Wording]]) -> str | None:
    if not rows:
        if not contents.startswith(HEADER):
            return UNREADABLE
        return NO_ROWS if version is None or version.content.digests else None
    if len(rows) > MOST_ROWS:
        return f"only the first {MOST_ROWS:,} of {len(rows):,} rows were read"
    if len({row.question_id for row, _ in rows}) < len(rows):
        return "a question is in it twice; its first row counts"
    return None


def _duplicates(session: Session, files: Sequence[ArrivedFile]) -> set[str]:
    """Files that were sent once more under the same name and with the same contents (PROC-2)."""
    firsts = {file.path: without_duplicate_mark(file.path) for file in files}
    marked = {path: first for path, first in firsts.items() if first != path}
    if not marked:
        return set()
    keys = [path + SUFFIX for pair in marked.items() for path in pair]
    query = sa.select(StoredObject.path, StoredObject.sha1).where(is_one_of(StoredObject.path, keys))
    hashes = dict(session.execute(query).tuples().all())
    return {
        path
        for path, first in marked.items()
        if (sha1 := hashes.get(path + SUFFIX)) is not None and sha1 == hashes.get(first + SUFFIX)
    }


def _wordings(session: Session, read: Sequence[_Read]) -> dict[tuple[int, bytes], int]:
    """Numbers of wordings by survey and digest; surveys in one order, since each may be locked."""
    found: dict[tuple[int, bytes], int] = {}
    for survey_id in sorted({each.survey_id for each in read if each.survey_id is not None}):
        mine = [each for each in read if each.survey_id == survey_id]
        of_files = {wording.digest: wording for each in mine for _, wording in each.rows}
        versions = {each.version.id: each.version for each in mine if each.version}
        if of_files:
            known = ensure_wordings(session, survey_id, list(versions.values()), list(of_files.values()))
            found |= {(survey_id, digest): number for digest, number in known.items()}
    return found


def _insert_submissions(
    session: Session, participant: Participant, read: Sequence[_Read], *, is_new: bool
) -> dict[str, int]:
    """Ids by path; a path that has a submission already gets no other."""
    rows = [_submission_row(participant, each, is_new=is_new) for each in read]
    given = given_rows(Submission, rows)
    columns = [column.name for column in given.c]
    written = insert(Submission).from_select(columns, sa.select(*given.c)).on_conflict_do_nothing()
    return dict(session.execute(written.returning(Submission.path, Submission.id)).tuples().all())


def _submission_row(participant: Participant, each: _Read, *, is_new: bool) -> dict[str, Any]:
    states = Counter(row.state for row, _ in each.rows)
    return {
        "path": each.file.path,
        "participant_id": participant.id,
        "survey_id": each.survey_id,
        "survey_version_id": each.version.id if each.version else None,
        "is_recording": each.file.is_recording,
        "submitted_at": each.file.submitted_at,
        "received_at": each.file.received_at,
        "os_type": each.file.os_type,
        "app_version": each.file.app_version,
        "is_new": is_new,
        "standing": (Standing.DUPLICATE if each.is_duplicate else Standing.UNASKED).value,
        "problem": each.problem,
        **{state.value: states[state] for state in AnswerState},
        "sealed_texts": seal_texts(participant.study, each.file.path, each.texts),
    }


def _answer_rows(number: int, each: _Read, wordings: Mapping[tuple[int, bytes], int]) -> list[dict[str, Any]]:
    return [
        {
            "submission_id": number,
            "place": place,
            "wording_id": wordings[each.survey_id or 0, wording.digest],
            "state": row.state.value,
            "number": row.number,
            "choices": row.indices or None,
        }
        for place, (row, wording) in enumerate(each.rows)
    ]


_ANSWERS = sa.text(
    """
    INSERT INTO submitted_answers (submission_id, place, participant_id, wording_id, state, number, choices)
    SELECT g.submission_id, g.place, :participant_id, g.wording_id, g.state, g.number, CAST(g.choices AS smallint[])
    FROM unnest(CAST(:submission_id AS bigint[]), CAST(:place AS smallint[]), CAST(:wording_id AS bigint[]),
        CAST(:state AS text[]), CAST(:number AS double precision[]), CAST(:choices AS text[]))
        AS g (submission_id, place, wording_id, state, number, choices)
    """
)
_TALLIES = sa.text(
    """
    INSERT INTO answer_tallies AS t (participant_id, wording_id, tallied, value, count)
    SELECT :participant_id, g.* FROM unnest(CAST(:wording_id AS bigint[]), CAST(:tallied AS text[]),
        CAST(:value AS double precision[]), CAST(:count AS integer[])) AS g
    ON CONFLICT (wording_id, participant_id, tallied, value) DO UPDATE SET count = t.count + EXCLUDED.count
    """
)


def _insert_answers(session: Session, participant_id: int, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    given = {name: [row[name] for row in rows] for name in rows[0]}
    given["choices"] = [None if c is None else "{" + ",".join(map(str, c)) + "}" for c in given["choices"]]
    session.execute(_ANSWERS, given | {"participant_id": participant_id})


def _add_tallies(session: Session, participant_id: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """Adds to the counts of the participant's answers, by which pages show distributions."""
    tallies: Counter[tuple[int, str, float]] = Counter()
    for row in rows:
        tallies[row["wording_id"], row["state"], 0.0] += 1
        tallies.update((row["wording_id"], Tallied.CHOICE.value, float(index)) for index in row["choices"] or ())
        if row["number"] is not None:
            tallies[row["wording_id"], Tallied.NUMBER.value, row["number"]] += 1
    if tallies:
        ordered = sorted(tallies.items())
        wordings, tallied, values = map(list, zip(*(key for key, _ in ordered), strict=True))
        given = {"wording_id": wordings, "tallied": tallied, "value": values, "count": [n for _, n in ordered]}
        session.execute(_TALLIES, given | {"participant_id": participant_id})


def _settle(
    session: Session, participant: Participant, written: Sequence[_Read], now: datetime, *, is_new: bool
) -> None:
    """Events that have counted by now first, so that each submission finds its own."""
    looks_back = LOOK_BACK if is_new else None
    touched = record_counted_events(session, now, participant_ids=[participant.id], looks_back=looks_back)
    touched += [
        Touched(participant.id, each.survey_id, each.file.submitted_at)
        for each in written
        if each.survey_id is not None and not each.is_duplicate
    ]
    settle_outcomes(session, touched, now)
