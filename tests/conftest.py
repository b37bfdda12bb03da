"""One fixture each for a real PostgreSQL, real HTTP and a real Chromium; everything else is made by factories."""

import itertools
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest
from flask import Flask
from flask_migrate import upgrade
from werkzeug.serving import make_server

import core.config
import core.database
from core.config import Settings, get_settings
from core.database import db
from core.embedded import running
from tests.support import this_hour
from tests.support.compiled_once import keep_addresses, keep_templates
from tests.support.factories import Factory
from tests.support.left_folders import PREFIX, remove_left_folders
from webapp import create_app

pytest_plugins = ["tests.browser.fixtures"]
_numbers = itertools.count(1)
SLOW_FIRST = ("ops", "flows", "browser")
NEEDED_MEMORY = 4 << 30
"""Bytes; more than the tests' databases take, since a full folder would stop the server."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts files whose tests take long first, so that both workers end at about the same time."""
    folder = Path(__file__).parent
    rank = {name: place for place, name in enumerate(SLOW_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.relative_to(folder).parts[0], len(rank)))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real PostgreSQL server, `%s` in place of the database's name; `template_beiwe` is migrated."""
    with _quick_folder(tmp_path_factory.mktemp("postgres")) as folder, running(folder) as started:
        yield _migrated_template(folder, started.replace("%", "%%").replace("/postgres?", "/%s?"))


@contextmanager
def _quick_folder(other: Path) -> Iterator[Path]:
    """A folder in memory where the machine has enough of it: a database's 300 files are copied for every test."""
    memory = Path("/dev/shm")  # noqa: S108  a folder of our own in it
    remove_left_folders(memory)
    if not memory.is_dir() or shutil.disk_usage(memory).free < NEEDED_MEMORY:
        yield other
        return
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=memory) as folder:
        yield Path(folder)


def _migrated_template(folder: Path, address: str) -> str:
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):  # speed; what a test loses is lost anyway
        _run(address % "postgres", f"ALTER SYSTEM SET {setting} = off")
    _run(address % "postgres", "SELECT pg_reload_conf()")
    _run(address % "postgres", "CREATE DATABASE template_beiwe")
    with pytest.MonkeyPatch.context() as patch:
        _use_settings(patch, folder, address % "template_beiwe")
        app = create_app()
        with app.app_context():
            upgrade()
            db.engine.dispose()
    return address


@pytest.fixture
def database_url(postgres: str) -> Iterator[str]:
    """Address of a fresh, migrated database of this test's own."""
    name = f"test_{next(_numbers)}"
    _run(postgres % "postgres", f"CREATE DATABASE {name} TEMPLATE template_beiwe STRATEGY FILE_COPY")
    yield postgres % name
    _run(postgres % "postgres", f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def settings(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """The process's settings for this test: its own database and VAR_DIR."""
    _use_settings(monkeypatch, tmp_path / "var", database_url)
    yield get_settings()
    if core.database.get_engine.cache_info().currsize:
        core.database.get_engine().dispose()
    _forget_settings()


@pytest.fixture(autouse=True)
def hour_of_this_test() -> None:
    this_hour.begin()


@pytest.fixture(scope="session", autouse=True)
def compiled_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        keep_addresses(patch)
        yield


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The application on this test's database, with an application context."""
    app = create_app(settings)
    app.testing = True
    keep_templates(app)
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def factory(app: Flask) -> Factory:
    """Makes studies, participants, researchers and what else a test needs."""
    return Factory()


@pytest.fixture
def server(app: Flask) -> Iterator[str]:
    """Address of the application served over real HTTP on loopback."""
    http = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    thread.join(10)


def _use_settings(patch: pytest.MonkeyPatch, var_dir: Path, database_url: str) -> None:
    for name in ("BEIWE_ENV", "S3_BUCKET", "S3_ENDPOINT", "RDS_HOSTNAME", "SEAL", "PREFECT_API_URL"):
        patch.delenv(name, raising=False)
    patch.setenv("VAR_DIR", str(var_dir))
    patch.setenv("DATABASE_URL", database_url)
    patch.setenv("FLASK_SECRET_KEY", "a secret of the tests")
    _forget_settings()


def _forget_settings() -> None:
    get_settings.cache_clear()
    core.database.get_engine.cache_clear()


def _run(address: str, statement: str) -> None:
    connection = psycopg2.connect(address)
    connection.autocommit = True
    try:
        connection.cursor().execute(statement)
    finally:
        connection.close()
