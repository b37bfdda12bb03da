"""Headers of every answer, methods, and addresses without secrets (docs/asvs.md, V14)."""

import re

import pytest
import urllib3
from flask import Flask

from core.accounts.api_keys import create_api_key
from core.audit import SERVER
from core.database import db
from core.models import Researcher, Study
from tests.support.factories import Factory
from tests.support.gunicorn import gunicorn
from tests.support.portal_visitor import Visitor

POLICIES = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
SECRET = re.compile(r"password|secret|token|mfa|code|session", re.IGNORECASE)


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study()


@pytest.fixture
def researcher(factory: Factory, study: Study) -> Researcher:
    return factory.researcher("mlopez", study=study, is_site_admin=True)


def test_every_answer_has_its_headers(app: Flask, researcher: Researcher, study: Study):
    """PORTAL-8: pages, redirects, refusals, errors and phones' answers, with and without a session."""
    visitors = (Visitor(app), Visitor(app, researcher))
    paths = ["/no/such/page", f"/view_study/{study.id}", "/view_study/999999"]
    paths += [rule.rule for rule in app.url_map.iter_rules() if not rule.arguments]
    for path in sorted(set(paths)):
        if path == "/logout":
            continue
        for visitor in visitors:
            for method in ("GET", "POST"):
                answer = visitor.open(path, method=method, buffered=True)
                place = f"{method} {path}: {answer.status_code}"
                assert {name: answer.headers.get(name) for name in POLICIES} == POLICIES, place
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"], place
                assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"], place
                assert "geolocation=()" in answer.headers["Permissions-Policy"], place
                assert answer.headers["Cache-Control"] == "no-store", place
                assert not any(name.startswith("Access-Control-") for name, _ in answer.headers), place
                kind = answer.headers["Content-Type"]
                assert not kind.startswith("text/") or "charset=utf-8" in kind, place


def test_odd_methods_are_refused(app: Flask, researcher: Researcher):
    """PORTAL-3: with 405 and the methods that are right."""
    visitor = Visitor(app, researcher)
    for method in ("TRACE", "TRACK", "CONNECT", "PUT", "DELETE", "PATCH", "PROPFIND", "ODD"):
        for path in ("/", "/manage_credentials", "/validate_login", "/get-data/v1", "/upload", "/healthz"):
            answer = visitor.open(path, method=method, buffered=True)
            assert answer.status_code in (403, 405), (method, path)
            assert "ODD" not in answer.text


def test_answers_of_the_data_api_are_attachments(app: Flask, researcher: Researcher, study: Study):
    """DATA-1: also refusals, so that no browser shows them as a page."""
    access_key, secret_key = create_api_key(db.session(), researcher, "x", actor=SERVER)
    db.session.commit()
    keys = {"access_key": access_key, "secret_key": secret_key}
    for path, fields, ending in (
        ("/get-studies/v1", keys, "json"),
        ("/get-participant-ids/v1", keys | {"study_id": study.object_id}, "json"),
        ("/check-my-credentials/v1", keys, "txt"),
        ("/get-studies/v1", {"access_key": "a", "secret_key": "b"}, "txt"),
    ):
        answer = app.test_client().post(path, data=fields)
        assert answer.headers["Content-Disposition"] == f'attachment; filename="api.{ending}"', path


def test_no_address_holds_a_secret(app: Flask, researcher: Researcher, study: Study):
    """PORTAL-6, PERM-80: forms that are sent as an address have no secret fields, and no route names one."""
    for rule in app.url_map.iter_rules():
        is_link = rule.rule.startswith("/invitation/<token>")  # used once, within 72 hours (CLAR-26)
        assert is_link or not {name for name in rule.arguments if SECRET.search(name)}, rule.rule
    visitor = Visitor(app, researcher)
    for path in ("/", "/manage_credentials", f"/view_study/{study.id}", f"/view_study/{study.id}/participants"):
        page = Visitor(app).get(path).text if path == "/" else visitor.get(path).text
        for form in re.findall(r"<form(?![^>]*method=\"post\").*?</form>", page, re.DOTALL):
            assert not [name for name in re.findall(r'name="([^"]+)"', form) if SECRET.search(name)], path


def test_no_answer_tells_a_version(app: Flask):
    """The header Server names the program without its version."""
    with gunicorn() as server:
        for path in ("/", "/no/such/page", "/upload"):
            answer = urllib3.request("GET", f"{server}{path}", retries=False)
            assert not re.search(r"\d", answer.headers["Server"])
            assert "X-Powered-By" not in answer.headers
            assert not re.search(r"(?i)(werkzeug|flask|python|gunicorn)/\d", str(answer.headers) + answer.data.decode())
