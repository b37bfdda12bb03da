"""The versions of a study's consent texts, and how each differs from the one before (CLAR-31)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import ConsentSent, ConsentVersion, Participant
from core.studies.settings_versions import all_sections

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
MOST_WORDS_COMPARED = 4_000
"""Beyond this, a text that differs is shown as replaced whole: comparing words takes quadratic time."""


@dataclass(frozen=True)
class ListedVersion:
    """A version in the list: `sent_to` participants were sent it, test participants left out."""

    number: int
    at: datetime
    author_name: str
    sent_to: int


@dataclass(frozen=True)
class Piece:
    """A part of a text: kept, inserted, or deleted by the newer version."""

    kind: Literal["same", "ins", "del"]
    text: str


@dataclass(frozen=True)
class ConsentText:
    """One text of a version: `name` is `consent_form_text` or `<section>.text`, `<section>.more`; `pieces` show how it
    differs from the version before, and are one kept piece where it does not."""

    name: str
    text: str
    pieces: tuple[Piece, ...]

    @property
    def is_changed(self) -> bool:
        return any(piece.kind != "same" for piece in self.pieces)


def consent_versions(session: Session, study_id: int) -> list[ListedVersion]:
    """The study's versions, newest first; two indexed queries."""
    sent = session.execute(
        sa.select(ConsentSent.consent_version_id, sa.func.count(sa.distinct(ConsentSent.participant_id)))
        .join(ConsentVersion, ConsentVersion.id == ConsentSent.consent_version_id)
        .join(Participant, Participant.id == ConsentSent.participant_id)
        .where(ConsentVersion.study_id == study_id, Participant.is_test.is_(False))
        .group_by(ConsentSent.consent_version_id)
    )
    counts: dict[int, int] = {row[0]: row[1] for row in sent}
    versions = session.execute(
        sa.select(ConsentVersion.id, ConsentVersion.number, ConsentVersion.at, ConsentVersion.author_name)
        .where(ConsentVersion.study_id == study_id)
        .order_by(ConsentVersion.number.desc())
    )
    return [ListedVersion(row.number, row.at, row.author_name, counts.get(row.id, 0)) for row in versions]


def consent_texts(session: Session, study_id: int, number: int) -> list[ConsentText] | None:
    """The texts of a version, compared with the version before; None if there is no such version."""
    rows = session.scalars(
        sa.select(ConsentVersion).where(
            ConsentVersion.study_id == study_id, ConsentVersion.number.in_((number, number - 1))
        )
    )
    versions = {row.number: row for row in rows}
    if number not in versions:
        return None
    texts = _texts_of(versions[number].form_text, versions[number].sections)
    before = versions.get(number - 1)
    old = _texts_of(before.form_text, before.sections) if before else texts
    return [ConsentText(name, text, differences(old[name], text)) for name, text in texts.items()]


def differences(before: str, after: str) -> tuple[Piece, ...]:
    """The pieces that lead from one text to the other, word by word."""
    if before == after:
        return (Piece("same", after),) if after else ()
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    if len(old) + len(new) > MOST_WORDS_COMPARED:
        return tuple(piece for piece in (Piece("del", before), Piece("ins", after)) if piece.text)
    pieces = []
    for _, old_start, old_end, new_start, new_end in _steps(old, new):
        deleted, inserted = "".join(old[old_start:old_end]), "".join(new[new_start:new_end])
        if deleted == inserted:
            pieces.append(Piece("same", inserted))
        else:
            pieces += [piece for piece in (Piece("del", deleted), Piece("ins", inserted)) if piece.text]
    return tuple(pieces)


def _steps(old: list[str], new: list[str]) -> list[tuple[str, int, int, int, int]]:
    return list(SequenceMatcher(None, old, new, autojunk=False).get_opcodes())


def _texts_of(form_text: str, sections: Mapping[str, Any]) -> dict[str, str]:
    return {"consent_form_text": form_text} | {
        f"{name}.{part}": section[part] for name, section in all_sections(sections).items() for part in ("text", "more")
    }
