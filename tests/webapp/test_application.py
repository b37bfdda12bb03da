"""The application as a whole: behind its proxy, and its headers."""

import pytest
from flask import Flask, request
from pydantic import SecretStr

from core.config import Settings
from webapp import create_app


@pytest.fixture
def production(settings: Settings) -> Flask:
    values = {
        "environment": "production", "domain_name": "beiwe.example.org", "flask_secret_key": SecretStr("x" * 40)
    }  # fmt: skip
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
