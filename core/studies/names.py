"""Names of interventions and custom fields: one rule for both (PORTAL-173)."""

import re
import unicodedata

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.models import CustomField, Intervention, Study
from core.participants.table_file import FIXED_COLUMNS

LONGEST_NAME = 100


class NameRefused(Exception):
    """An intervention or a field cannot be named, or removed, as asked; the message says why and what is allowed."""


def checked_label(name: str) -> str:
    """1 to 100 characters without control characters; runs of white space become one space. Raises NameRefused."""
    name = re.sub(r"\s+", " ", name).strip()
    if not 1 <= len(name) <= LONGEST_NAME or any(unicodedata.category(c) == "Cc" for c in name):
        raise NameRefused(f"A name has 1 to {LONGEST_NAME} characters.")
    return name


def free_name(session: Session, study: Study, kind: type[CustomField] | type[Intervention], name: str, but: int) -> str:
    """The name as it is stored, once no other of that kind has it by the database's lower case. Locks the study.

    `but` is the number of what is renamed, 0 where one is added. Raises NameRefused.
    """
    name = checked_label(name)
    # Rows as JSON objects hold each name once; Tableau's have `_` for spaces (DATA-44, DATA-71).
    if name.casefold().replace("_", " ") in {column.casefold() for column in FIXED_COLUMNS}:
        raise NameRefused(f"The participants' table has a column {name} already.")
    session.execute(sa.select(Study.id).where(Study.id == study.id).with_for_update(key_share=True))
    is_same = sa.func.lower(kind.name) == sa.func.lower(name)
    taken = sa.exists().where(kind.study_id == study.id, is_same, kind.id != but)
    if session.scalar(sa.select(taken)):
        what = "a field" if kind is CustomField else "an intervention"
        raise NameRefused(f"There is {what} named {name} already.")
    return name
