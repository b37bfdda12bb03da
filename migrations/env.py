"""Alembic's environment, for Flask-Migrate: `flask --app webapp db upgrade`.

One runner at a time: the whole upgrade holds an advisory lock (OPS-43). The views for roles that are limited to a site
are made anew afterwards, over the tables that there are then.
"""

import sqlalchemy as sa
from alembic import context
from flask import current_app

from core.database import SealedText
from core.limits import drop_views, make_views

MIGRATION_LOCK = 0x0BE13E

database = current_app.extensions["migrate"].db


def run() -> None:
    """Runs the asked-for migrations in one transaction each, over one connection."""
    with database.engine.connect() as connection:
        connection.execute(sa.text("SET lock_timeout = 0"))
        connection.execute(sa.text("SELECT pg_advisory_lock(:lock)"), {"lock": MIGRATION_LOCK})
        drop_views(connection)
        connection.commit()
        try:
            context.configure(
                connection=connection,
                target_metadata=database.metadata,
                transaction_per_migration=True,
                process_revision_directives=_skip_empty,
                render_item=_as_plain_text,
            )
            with context.begin_transaction():
                context.run_migrations()
        finally:
            connection.rollback()
            make_views(connection)
            connection.commit()
            connection.execute(sa.text("SELECT pg_advisory_unlock(:lock)"), {"lock": MIGRATION_LOCK})


def _skip_empty(_context: object, _revision: object, directives: list) -> None:
    if getattr(context.config.cmd_opts, "autogenerate", False) and directives[0].upgrade_ops.is_empty():
        directives[:] = []


def _as_plain_text(kind: str, item: object, _context: object) -> str | bool:
    """Sealed columns are plain text to the database; a migration does not import the project."""
    return "sa.Text()" if kind == "type" and isinstance(item, SealedText) else False


run()
