"""`python -m ops.prepare`: migrations, and on the first run the site administrator, whose password it prints as JSON.

One process for what are three commands otherwise, without the pages, since each takes seconds to load.
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
    """The database and its migrations, and nothing else of the application."""
    app = Flask("webapp")
    app.config.update(SQLALCHEMY_DATABASE_URI=URL, SQLALCHEMY_ENGINE_OPTIONS=engine_options(get_settings(), 1))
    db.init_app(app)
    Migrate(app, db, directory=str(REPOSITORY / "migrations"))
    return app


def wait_for_database() -> None:
    """Returns once it answers; it is started at the same time as this process. Raises OperationalError in the end."""
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
    """The new site administrator's one-time password, where nobody can sign in yet."""
    if db.session.scalar(sa.select(sa.exists(sa.select(Researcher.id)))):
        return None
    password = new_password()
    create_researcher(db.session(), ADMINISTRATOR, password, is_site_admin=True, actor=SERVER)
    db.session.commit()
    return password


if __name__ == "__main__":
    main()
