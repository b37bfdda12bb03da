"""Roles that are limited to a site: which participants exist for the person who asks (PERM-95).

The database applies the limit, so that no query can forget it. The schema `limited` has a view of the same name over
each table with rows of participants. A limited person's transaction finds these views in place of the tables: SQL text,
joins, subqueries, UPDATE and DELETE included. `_SEEN` is the condition of all views. Sessions of others do nothing but
look into a dictionary.

The views are made after each migration, from the tables that there are (`make_views`). A limited transaction fails
while they are missing.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from core.access import SiteLimit

SCHEMA = "limited"
_INFO = "site_limits"
_IS_WHOLE = "is_seen_whole"

# `@.` stands for the schema of the tables.
_HELPERS = """
CREATE SCHEMA limited;
CREATE VIEW limited.limited_studies AS
    SELECT key::bigint AS study_id FROM jsonb_object_keys(current_setting('beiwe.limits')::jsonb) AS key;
CREATE VIEW limited.site_limits AS
    SELECT one.key::bigint AS study_id, (one.value ->> 'field')::bigint AS field_id, site AS value
    FROM jsonb_each(current_setting('beiwe.limits')::jsonb) AS one,
        jsonb_array_elements_text(one.value -> 'values') AS site;
"""
_SEEN = """
    t.study_id <> ALL (ARRAY(SELECT study_id FROM limited.limited_studies))
    OR EXISTS (
        SELECT FROM @.field_values AS had
        JOIN limited.site_limits AS given ON given.field_id = had.field_id AND given.value = had.value
        WHERE had.participant_id = t.id AND given.study_id = t.study_id)
"""
"""Whether the participant `t` exists for who asks: of a study without a limit, or with a value of the limit."""
_OWNER_SEEN = "EXISTS (SELECT FROM limited.participants AS owner WHERE owner.id = t.participant_id)"
_OTHERS: Mapping[str, str] = {
    # A batch shows counts, so all of it must be of the person's sites: those that are there, and those to come.
    "participant_batches": """
        t.study_id <> ALL (ARRAY(SELECT study_id FROM limited.limited_studies))
        OR NOT EXISTS (
            SELECT FROM @.participants AS part WHERE part.batch_id = t.id
            AND NOT EXISTS (SELECT FROM limited.participants AS owner WHERE owner.id = part.id))
        AND (t.made = t.wanted OR t.rows IS NOT NULL)
        AND NOT EXISTS (
            SELECT FROM jsonb_array_elements(coalesce(t.rows, '[]')) AS new WHERE NOT EXISTS (
                SELECT FROM limited.site_limits AS given WHERE given.study_id = t.study_id
                AND given.value = new -> 'values' ->> ('field:' || given.field_id)))
    """,
    "bulk_edits": """
        NOT EXISTS (
            SELECT FROM @.bulk_edit_rows AS part WHERE part.bulk_edit_id = t.id
            AND NOT EXISTS (SELECT FROM limited.participants AS owner WHERE owner.id = part.participant_id))
    """,
    # An export was made for all, or for a limit. It exists for people with that limit who see everybody in it.
    "exports": """
        t.study_id <> ALL (ARRAY(SELECT study_id FROM limited.limited_studies))
        OR t.site_limit @> (current_setting('beiwe.limits')::jsonb -> t.study_id::text)
        AND t.site_limit <@ (current_setting('beiwe.limits')::jsonb -> t.study_id::text)
        AND NOT EXISTS (
            SELECT FROM @.export_participants AS part WHERE part.export_id = t.id
            AND NOT EXISTS (SELECT FROM limited.participants AS owner WHERE owner.id = part.participant_id))
    """,
    # What was counted for a whole study cannot be divided.
    "processed_hours": "t.study_id <> ALL (ARRAY(SELECT study_id FROM limited.limited_studies))",
    "audit_records": """
        NOT EXISTS (
            SELECT FROM limited.limited_studies AS few JOIN @.studies AS study ON study.id = few.study_id
            WHERE study.object_id = t.study_object_id)
        OR EXISTS (SELECT FROM limited.participants AS owner WHERE owner.patient_id = t.patient_id)
    """,
}
"""Tables without a participant's number whose rows tell of participants."""
_OWNED = sa.text(
    "SELECT table_name, is_nullable = 'YES' FROM information_schema.columns JOIN information_schema.tables"
    " USING (table_schema, table_name) WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'"
    " AND column_name = 'participant_id' ORDER BY table_name"
)


def drop_views(connection: sa.Connection) -> None:
    """Removes the views, which would stand in the way of changes to the tables. The caller commits."""
    connection.execute(sa.text("DROP SCHEMA IF EXISTS limited CASCADE"))


def make_views(connection: sa.Connection) -> None:
    """Makes the views anew over the tables that there are; none before version 0021. The caller commits."""
    drop_views(connection)
    if connection.execute(sa.text("SELECT to_regclass('field_options')")).scalar_one() is None:
        return
    tables = connection.execute(sa.text("SELECT quote_ident(current_schema())")).scalar_one()
    connection.exec_driver_sql(_HELPERS)
    conditions: dict[str, str] = {"participants": _SEEN}
    for name, is_nullable in connection.execute(_OWNED).all():
        conditions[name] = f"t.participant_id IS NULL OR {_OWNER_SEEN}" if is_nullable else _OWNER_SEEN
    there = sa.inspect(connection).get_table_names()
    conditions |= {name: condition for name, condition in _OTHERS.items() if name in there}
    for name, condition in conditions.items():
        view = "CREATE VIEW limited.NAME AS SELECT t.* FROM @.NAME AS t WHERE".replace("NAME", name)
        connection.exec_driver_sql(f"{view} {condition}".replace("@.", f"{tables}."))


def limit_session(session: Session, limits: Mapping[int, SiteLimit]) -> None:
    """From now on the session sees, by study, only the participants of these limits. It cannot be undone.

    Call it before anything of a participant is read. Without limits it does nothing.
    """
    if not limits:
        return
    session.info[_INFO] = dict(limits)
    if session.in_transaction():
        _apply(session, session.connection())


def limit_in(session: Session, study_id: int) -> SiteLimit | None:
    """The limit of the person for whom the session works, in this study."""
    limits: Mapping[int, SiteLimit] = session.info.get(_INFO, {})
    return limits.get(study_id)


@contextmanager
def seen_whole(session: Session) -> Iterator[None]:
    """For the block, the session sees everybody again: for what must hold for the whole study.

    Nothing that is read in it may be shown. The block must not commit.
    """
    if _INFO not in session.info:
        yield
        return
    session.flush()
    connection = session.connection()
    connection.execute(sa.text("SELECT set_config('search_path', :path, true)"), {"path": _whole_path(connection)})
    session.info[_IS_WHOLE] = True
    try:
        yield
        session.flush()
    except BaseException:
        del session.info[_IS_WHOLE]
        with suppress(sa.exc.DBAPIError, sa.exc.InvalidRequestError):  # the transaction can only be rolled back
            _apply(session, session.connection())
        raise
    del session.info[_IS_WHOLE]
    _apply(session, session.connection())


def _whole_path(connection: sa.Connection) -> str:
    path: str = connection.execute(sa.text("SELECT current_setting('search_path')")).scalar_one()
    return path.removeprefix(f"{SCHEMA}, ")


# Reading a view shows that it is there, and keeps it there until the transaction ends.
_APPLY = sa.text(
    "SELECT set_config('beiwe.limits', :limits, true), set_config('search_path', :path, true),"
    " (SELECT true FROM limited.participants WHERE false)"
)


def _apply(session: Session, connection: sa.Connection) -> None:
    limits = {
        str(study_id): {"field": limit.field_id, "values": list(limit.values)}
        for study_id, limit in session.info[_INFO].items()
    }
    connection.execute(_APPLY, {"limits": json.dumps(limits), "path": f"{SCHEMA}, {_whole_path(connection)}"})


@event.listens_for(Session, "after_begin")
def _limit_transaction(session: Session, transaction: SessionTransaction, connection: Any) -> None:
    """Settings of a transaction end with it: a connection goes back to its pool without a limit."""
    if _INFO in session.info and not transaction.nested and not session.info.get(_IS_WHOLE):
        _apply(session, connection)
