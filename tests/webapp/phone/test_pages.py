"""Addresses that study staff hand out (PORTAL-280)."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask

from core.config import REPOSITORY, ConfigurationError, load_settings
from webapp import create_app


def application(**settings: str) -> Flask:
    return create_app(load_settings(**settings))


@pytest.mark.parametrize("path", ["/download", "/download/"])
def test_download_leads_to_the_app_past_every_cache(path: str):
    """PORTAL-280: open to everybody, each time under another address."""
    address = "https://apps.example.org/beiwe.apk"
    client = application(downloadable_apk_url=address).test_client()
    first, second = client.get(path), client.get(path)
    assert first.status_code == 302
    assert re.fullmatch(re.escape(address) + r"\?uniqueify=[0-9a-f-]{36}", first.location)
    assert first.location != second.location
    assert "Set-Cookie" not in first.headers


def test_a_query_in_the_address_of_the_app_is_kept():
    """PORTAL-280."""
    address = "https://apps.example.org/get?app=a%20b&v=2#top"
    location = application(downloadable_apk_url=address).test_client().get("/download").location
    parts = urlsplit(location)
    assert set(parse_qs(parts.query)) == {"app", "v", "uniqueify"} and parts.query.startswith("app=a%20b&v=2&")
    assert parts.fragment == "top"


@pytest.mark.parametrize("path", ["/privacy_policy", "/privacy_policy/"])
def test_the_privacy_policy_is_where_the_setting_says(path: str):
    """PORTAL-280."""
    answer = application(privacy_policy_url="https://example.org/privacy").test_client().get(path)
    assert (answer.status_code, answer.location) == (302, "https://example.org/privacy")


@pytest.mark.parametrize("path", ["/download", "/privacy_policy"])
def test_without_a_setting_there_is_a_page_that_says_so(app: Flask, path: str):
    """PORTAL-280: 404, and words for participants."""
    answer = app.test_client().get(path)
    assert answer.status_code == 404
    assert "your study staff can" in answer.text.lower()


@pytest.mark.parametrize(
    "path", ["/download_debug", "/download_beta", "/download_beta_debug", "/download_beta_release"]
)
def test_old_builds_are_not_handed_out(app: Flask, path: str):
    """PORTAL-280."""
    assert app.test_client().get(path).status_code == 404


@pytest.mark.parametrize("name", ["DOWNLOADABLE_APK_URL", "PRIVACY_POLICY_URL", "FCM_URL"])
def test_an_address_that_is_none_is_refused_at_the_start(name: str, monkeypatch: pytest.MonkeyPatch):
    """OPS-2: the variable is named; blank counts as missing."""
    monkeypatch.setenv(name, "javascript:alert(1)")
    with pytest.raises(ConfigurationError, match=f"{name}.*https"):
        load_settings()
    monkeypatch.setenv(name, "  ")
    assert getattr(load_settings(), name.lower()) in (None, "https://fcm.googleapis.com")


def test_the_font_of_the_phones_pages_is_the_portals():
    """One version of the font's file in caches, whichever page asks for it first."""
    sheets = [(REPOSITORY / "webapp/static/css" / name).read_text() for name in ("phone.css", "tokens.css")]
    phone, portal = (set(re.findall(r"hyperlegible-next.woff2\?v=([0-9.]+)", sheet)) for sheet in sheets)
    assert phone == portal and len(phone) == 1
