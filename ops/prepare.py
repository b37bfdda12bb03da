"""`python -m ops.prepare`: migrations, and on the first run the site administrator, whose password it prints as JSON.

One process for what are three commands otherwise, since each takes seconds to load.
"""

import json
import time

import sqlalchemy as sa
from flask_migrate import upgrade
from sqlalchemy.exc import OperationalError

from core.accounts import create_researcher, new_password
from core.database import db
from core.models import Researcher
from ops.run import ADMINISTRATOR
from webapp import create_app

DATABASE_SECONDS = 360
LOOK_EVERY_SECONDS = 0.05


def main() -> None:
    """Prints one line: an object with `password`, which is null where there are researchers already."""
    with create_app().app_context():
        wait_for_database()
        upgrade()
        print(json.dumps({"password": first_password()}), flush=True)


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
    create_researcher(db.session(), ADMINISTRATOR, password, is_site_admin=True)
    db.session.commit()
    return password


if __name__ == "__main__":
    main()
