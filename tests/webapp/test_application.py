"""The application as a whole: behind its proxy, and its headers."""

from urllib.parse import urlencode

import pytest
from flask import Flask, request
from pydantic import SecretStr
from sqlalchemy.exc import DatabaseError, ProgrammingError

from core.config import Settings, get_settings
from core.database import db
from core.storage import StoreUnavailable
from core.storage.folder import FolderStore
from tests.support.broken_requests import RawRequest, send, status_of
from tests.support.factories import Factory, phone_fields
from tests.support.gunicorn import gunicorn_on
from webapp import create_app
from webapp.database_errors import is_lost


@pytest.fixture
def production(settings: Settings) -> Flask:
    values = {
        "environment": "production",
        "trusted_proxy_hops": 1,
        "domain_name": "beiwe.example.org",
        "flask_secret_key": SecretStr("x" * 40),
    }
    return create_app(settings.model_copy(update=values))


def test_behind_the_proxy_a_request_is_as_secure_and_from_where_the_proxy_says(production: Flask):
    """PHONE-3."""
    seen = {}

    @production.before_request
    def look() -> None:
        seen.update(is_secure=request.is_secure, address=request.remote_addr)

    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.7"}
    production.test_client().get("/healthz", headers=headers)
    assert seen == {"is_secure": True, "address": "198.51.100.7"}


def test_without_a_proxy_nobody_can_claim_another_address(app: Flask):
    """PHONE-3: the headers count in production only, behind the proxy."""
    seen = {}

    @app.before_request
    def look() -> None:
        seen.update(is_secure=request.is_secure, address=request.remote_addr)

    app.test_client().get("/healthz", headers={"X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.7"})
    assert seen == {"is_secure": False, "address": "127.0.0.1"}


def test_session_cookies_are_secure_in_production(production: Flask):
    """PORTAL-27."""
    assert production.config["SESSION_COOKIE_SECURE"]
    assert production.config["SESSION_COOKIE_HTTPONLY"]
    assert production.config["SESSION_COOKIE_SAMESITE"] == "Lax"


def test_production_answers_to_its_own_name_and_over_tls_only(production: Flask):
    """OPS-3: load balancers ask by address."""
    client = production.test_client()
    at_home = {"Host": "beiwe.example.org"}
    secure = at_home | {"X-Forwarded-Proto": "https"}
    assert client.get("/", headers={"Host": "other.example.org"}).status_code == 400
    plain = client.get("/upload?x=1", headers=at_home)
    assert (plain.status_code, plain.headers["Location"]) == (301, "https://beiwe.example.org/upload?x=1")
    answer = client.get("/", headers=secure)
    assert answer.status_code == 200
    assert "max-age=31536000" in answer.headers["Strict-Transport-Security"]
    assert client.get("/healthz", headers={"Host": "10.0.0.7"}).status_code == 200


def test_a_nul_in_a_form_is_refused_not_failed(app: Flask):
    """MODEL-7."""
    answer = app.test_client().post("/validate_login", data={"username": "a\0", "password": "x"})
    assert answer.status_code == 400


def test_settings_that_cannot_be_used_are_one_line(monkeypatch: pytest.MonkeyPatch):
    """OPS-2: no traceback, from a command or the web server."""
    monkeypatch.setenv("BEIWE_ENV", "production")
    get_settings.cache_clear()
    with pytest.raises(SystemExit) as error:
        create_app()
    get_settings.cache_clear()
    assert str(error.value).startswith("Error: BEIWE_ENV=production needs")
    assert len(str(error.value).splitlines()) == 1


def test_a_store_that_ignores_conditions_serves_no_phone(app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch):
    """STORE-11: refused at the first use, with the reason."""

    def check(_: FolderStore) -> None:
        raise StoreUnavailable("ignores conditional writes")

    participant = factory.participant()
    app.extensions.pop("beiwe_store")
    monkeypatch.setattr(FolderStore, "check", check)
    answer = app.test_client().post(
        "/upload", data=phone_fields(participant, file_name=f"{participant.patient_id}_gps_1.csv", file="x")
    )
    assert answer.status_code == 503


def test_a_lost_database_connection_is_503(settings: Settings, app: Flask, factory: Factory):
    """OPS-34, report row 34: for programs and pages, and the next request is served; other errors stay defects."""
    key = factory.api_key(factory.researcher(study=factory.study()))
    with gunicorn_on(settings) as (port, _):
        ask = RawRequest("/get-studies/v1", urlencode(key).encode())
        assert status_of(send(port, ask)) == 200
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = "
        db.session.execute(db.text(end + "current_database()"))
        db.session.commit()
        assert status_of(send(port, ask)) == 503
        assert status_of(send(port, ask)) == 200
    assert is_lost(DatabaseError("SELECT 1", {}, Exception("no message from the libpq")))
    assert not is_lost(ProgrammingError("SELECT x", {}, Exception("no such column")))
