"""`/readyz`, which load balancers ask."""

import json
import shutil
import time
from collections import namedtuple
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import boto3
import pytest
import sqlalchemy as sa
from flask import Flask
from pydantic import SecretStr

import core.storage.folder
from core.config import Settings
from core.database import db
from core.models import ProcessingStatus
from core.storage import StoreUnavailable
from core.storage.folder import FolderStore
from core.storage.s3 import S3Store
from tests.core.storage.test_storage import BUCKET, s3_endpoint, s3_settings  # noqa: F401  a fixture
from webapp import create_app, readiness


@pytest.fixture(autouse=True)
def nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every check runs anew."""
    monkeypatch.setattr(readiness, "DATABASE_KEPT_SECONDS", 0.0)
    monkeypatch.setattr(readiness, "STORE_KEPT_SECONDS", 0.0)


def ask(app: Flask, **headers: str) -> tuple[int, dict[str, Any]]:
    answer = app.test_client().get("/readyz", headers=headers)
    assert answer.json is not None
    return answer.status_code, answer.json


def test_a_process_that_can_serve_says_so(app: Flask):
    """OPS-32: with the seconds since processing ended a run, which are no failure."""
    everything = {"database": "ok", "store": "ok", "migrations": "ok"}
    assert ask(app) == (200, everything | {"seconds_since_processing": None})
    db.session.add(ProcessingStatus(id=1, last_run_at=datetime.now(UTC) - timedelta(hours=5)))
    db.session.commit()
    status, report = ask(app)
    assert status == 200
    assert 5 * 3600 <= report["seconds_since_processing"] < 5 * 3600 + 60


def test_a_database_that_is_down_is_told_without_its_address(settings: Settings):
    """OPS-32."""
    address = "postgresql://someone:hunter2@127.0.0.1:1/beiwe"
    app = create_app(settings.model_copy(update={"database_url": SecretStr(address)}))
    status, report = ask(app)
    assert (status, report["database"], report["migrations"], report["store"]) == (503, "no answer", "unknown", "ok")
    assert not any(word in json.dumps(report) for word in ("someone", "hunter2", "127.0.0.1"))


def test_nobody_waits_longer_than_two_seconds_for_what_hangs(app: Flask, monkeypatch: pytest.MonkeyPatch):
    """OPS-32: only one thread hangs, however many requests wait for it."""
    hangs, calls = Event(), []

    def hang(_: object) -> None:
        calls.append(1)
        hangs.wait(20)

    monkeypatch.setattr(readiness, "MOST_SECONDS", 0.1)
    monkeypatch.setattr(FolderStore, "probe", hang)
    monkeypatch.setattr(readiness, "database_state", hang)
    started = time.monotonic()
    for _ in range(3):
        status, report = ask(app)
        assert (status, report["store"], report["database"]) == (503, "no answer within 0 s", "no answer within 0 s")
    assert time.monotonic() - started < 2
    assert len(calls) == 2
    hangs.set()


def test_tables_that_are_not_at_the_codes_head_are_not_ready(app: Flask):
    """OPS-32."""
    for statement, reason in (
        ("UPDATE alembic_version SET version_num = '0001'", "at 0001, not at "),
        ("DROP TABLE alembic_version", "no tables yet"),
    ):
        db.session.execute(sa.text(statement))
        db.session.commit()
        status, report = ask(app)
        assert status == 503
        assert report["migrations"].startswith(reason)
        assert report["database"] == "ok"


def test_a_process_that_serves_goes_on_when_the_next_versions_migrations_have_run(app: Flask):
    """OPS-43: they run before new code serves, and phones must not see the time between."""
    newer = sa.text("UPDATE alembic_version SET version_num = 'of the next version'")
    db.session.execute(newer)
    db.session.commit()
    assert ask(app)[0] == 503  # this process has never served
    db.session.execute(sa.text("UPDATE alembic_version SET version_num = :head"), {"head": head(app)})
    db.session.commit()
    assert ask(app)[0] == 200
    db.session.execute(newer)
    db.session.commit()
    assert ask(app)[0] == 200


def head(app: Flask) -> str:
    value = app.extensions["beiwe_readiness"]._revisions[0]
    assert isinstance(value, str)
    return value


def test_a_store_that_cannot_be_used_is_told(app: Flask, monkeypatch: pytest.MonkeyPatch, settings: Settings):
    """OPS-32: its folder is gone, or its disk is full."""
    assert ask(app)[1]["store"] == "ok"
    disk = namedtuple("disk", "total used free")(100 << 30, 0, 100 << 20)
    with monkeypatch.context() as patch:
        patch.setattr(core.storage.folder.shutil, "disk_usage", lambda _: disk)
        status, report = ask(app)
        assert (status, report["store"]) == (503, "its disk is full")
    shutil.rmtree(settings.var_dir / "objects")
    status, report = ask(app)
    assert (status, report["store"]) == (503, "its folder is not there; is its disk mounted?")


def test_a_store_that_cannot_be_opened_is_told_without_its_name(app: Flask, monkeypatch: pytest.MonkeyPatch):
    """OPS-32, STORE-11."""

    def check(_: FolderStore) -> None:
        raise StoreUnavailable("bucket secret-name ignores conditional writes")

    monkeypatch.setattr(FolderStore, "check", check)
    assert ask(app)[1]["store"] == "cannot be opened"


def test_a_small_disk_may_be_fuller(tmp_path: Any, monkeypatch: pytest.MonkeyPatch):
    """OPS-32: 256 MB, or a hundredth of it."""
    store = FolderStore(tmp_path / "objects")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(core.storage.folder.shutil, "disk_usage", lambda _: usage(1 << 30, 0, 100 << 20))
    store.probe()
    monkeypatch.setattr(core.storage.folder.shutil, "disk_usage", lambda _: usage(1 << 30, 0, 10 << 20))
    with pytest.raises(StoreUnavailable, match="full"):
        store.probe()


def test_a_bucket_is_probed_by_one_small_question(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch):  # noqa: F811
    """OPS-32."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
    boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1").create_bucket(Bucket=BUCKET)
    S3Store.from_settings(s3_settings(s3_endpoint)).probe()
    other = s3_settings(s3_endpoint).model_copy(update={"s3_bucket": "another"})
    with pytest.raises(StoreUnavailable, match=r"^the bucket is not there$"):
        S3Store.from_settings(other).probe()


@pytest.mark.parametrize("fails", [False, True])
def test_an_answer_is_kept_so_that_asking_often_costs_nothing(fails: bool):
    """OPS-32."""
    calls = []

    def question() -> str:
        calls.append(1)
        if fails:
            raise ValueError("no")
        return "yes"

    watched = readiness.CachedCheck(question, kept_seconds=60)
    for _ in range(3):
        _answer_of(watched.answer)
    assert len(calls) == 1


def _answer_of(ask: Callable[[], str]) -> str | None:
    try:
        return ask()
    except ValueError:
        return None


def test_load_balancers_ask_by_address_and_in_plain_http(settings: Settings):
    """OPS-3, OPS-32."""
    values = {
        "environment": "production",
        "trusted_proxy_hops": 1,
        "domain_name": "beiwe.example.org",
        "flask_secret_key": SecretStr("x" * 40),
        "metrics_token": SecretStr("t"),
    }
    client = create_app(settings.model_copy(update=values)).test_client()
    assert client.get("/readyz", headers={"Host": "10.0.0.7"}).status_code == 200
    assert client.get("/metrics", headers={"Host": "10.0.0.7", "Authorization": "Bearer t"}).status_code == 200
    assert client.get("/", headers={"Host": "10.0.0.7"}).status_code == 400
