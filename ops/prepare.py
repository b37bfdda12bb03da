"""`python -m ops.prepare`: migrations, and on the first run the site administrator, whose password it prints as JSON.

One process instead of three commands, and without the portal, because each would take seconds to load.
"""

import json
import time

import sqlalchemy as sa
from flask import Flask
from flask_migrate import Migrate, upgrade
from sqlalchemy.exc import OperationalError

from core.accounts import create_researcher, new_password
from core.audit import SERVER
from core.config import REPOSITORY, get_settings
from core.database import URL, db, engine_options
from core.models import Researcher
from ops.run import ADMINISTRATOR

DATABASE_SECONDS = 360
LOOK_EVERY_SECONDS = 0.05


def main() -> None:
    """Prints one line: an object with `password`, which is null where there are researchers already."""
    with _application().app_context():
        wait_for_database()
        upgrade()
        print(json.dumps({"password": first_password()}), flush=True)


def _application() -> Flask:
    """An application with the database and its migrations only."""
    app = Flask("webapp")
    app.config.update(SQLALCHEMY_DATABASE_URI=URL, SQLALCHEMY_ENGINE_OPTIONS=engine_options(get_settings(), 1))
    db.init_app(app)
    Migrate(app, db, directory=str(REPOSITORY / "migrations"))
    return app


def wait_for_database() -> None:
    """Waits until the database answers, which starts at the same time. Raises OperationalError if it never does."""
    end = time.monotonic() + DATABASE_SECONDS
    while True:
        try:
            db.session.execute(sa.text("SELECT 1"))
            db.session.rollback()
            return
        except OperationalError:
            if time.monotonic() > end:
                raise
        time.sleep(LOOK_EVERY_SECONDS)


def first_password() -> str | None:
    """Creates a site administrator if no researcher exists. Returns the one-time password, else None."""
    if db.session.scalar(sa.select(sa.exists(sa.select(Researcher.id)))):
        return None
    password = new_password()
    create_researcher(db.session(), ADMINISTRATOR, password, is_site_admin=True, actor=SERVER)
    db.session.commit()
    return password


if __name__ == "__main__":
    main()
