"""Error pages (OPS-34), the registration of access rules, and static files."""

import pytest
from flask import Flask, abort
from werkzeug.test import TestResponse

from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor
from webapp.portal.access.rules import ATTRIBUTE, AccessRule, require_access_rules
from webapp.portal.studies import views

pytestmark = pytest.mark.usefixtures("quick_passwords")


def ask(app: Flask, path: str, accept: str, method: str = "GET") -> TestResponse:
    return app.test_client().open(path, method=method, headers={"Accept": accept})


def test_a_person_gets_a_page_with_a_way_back(app: Flask, factory: Factory):
    answer = Visitor(app).get("/no/such/page")
    assert answer.status_code == 404 and "No such page" in answer.text and 'href="/"' in answer.text
    answer = Visitor(app, factory.researcher()).get("/view_study/99")
    assert answer.status_code == 404 and 'href="/choose_study"' in answer.text


def test_a_wrong_method_is_told_which_are_right(app: Flask):
    answer = Visitor(app).get("/validate_login")
    assert answer.status_code == 405 and set(answer.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}


def test_an_unknown_address_does_not_ask_a_signed_in_person_to_sign_in(app: Flask, factory: Factory):
    """OPS-34: no view has looked at the session there."""
    page = Visitor(app, factory.researcher()).get("/no/such/page").text
    assert "Back to the studies" in page and "sign-in page" not in page


def test_a_client_that_asks_for_json_gets_json(app: Flask):
    """OPS-33: with the request's id."""
    answer = ask(app, "/no/such/page", "application/json")
    assert answer.status_code == 404
    assert answer.json == {"error": "No such page", "reference": answer.headers["X-Request-ID"]}


def test_what_is_not_available_is_told_in_the_portals_look(app: Flask, monkeypatch: pytest.MonkeyPatch):
    """OPS-33, OPS-34: 503, with Retry-After, the request's id, and a link back."""
    monkeypatch.setitem(app.view_functions, "access.sign_in", lambda: abort(503))
    setattr(app.view_functions["access.sign_in"], ATTRIBUTE, AccessRule())
    answer = Visitor(app).get("/")
    assert answer.status_code == 503 and "Not available at the moment" in answer.text and 'href="/"' in answer.text
    assert f"<code>{answer.headers['X-Request-ID']}</code>" in answer.text
    answer = ask(app, "/", "*/*")
    assert (answer.status_code, answer.text) == (503, "Not available at the moment\n")


def test_a_program_gets_a_short_line(app: Flask):
    """`*/*` is not a request for a page."""
    for path in ("/no/such/page", "/view_study/x"):
        answer = ask(app, path, "*/*")
        assert (answer.status_code, answer.mimetype, answer.text) == (404, "text/plain", "No such page\n")


def test_htmx_gets_a_line_above_what_stays(app: Flask, factory: Factory):
    """HTMX swaps errors too; a poll swaps nothing."""
    visitor = Visitor(app, factory.researcher())
    answer = visitor.swap("/view_study/99")
    assert (answer.status_code, answer.headers["HX-Retarget"]) == (404, "#problem") and "<html" not in answer.text
    polled = visitor.swap("/view_study/99/participants/figures")
    assert (polled.status_code, polled.headers["HX-Reswap"], polled.data) == (404, "none", b"")


def test_a_body_beyond_the_limit_is_refused(app: Flask, factory: Factory):
    visitor = Visitor(app)
    answer = visitor.post("/validate_login", has_token=False, username="x" * (2 << 20))
    assert answer.status_code == 413


def test_a_failure_has_a_reference_and_no_details(app: Flask, factory: Factory, monkeypatch: pytest.MonkeyPatch):
    """OPS-33, OPS-34; no secrets in error pages."""

    def fail(*_: object) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(views, "studies_of", fail)
    app.testing = app.config["PROPAGATE_EXCEPTIONS"] = False
    answer = Visitor(app, factory.researcher()).get("/choose_study")
    assert answer.status_code == 500 and "Something broke here" in answer.text and "hunter2" not in answer.text
    assert answer.headers["X-Request-ID"] in answer.text


def test_a_page_without_an_access_rule_keeps_the_application_from_starting(app: Flask):
    """PERM-4."""
    app.view_functions["site.open"] = lambda: ""
    with pytest.raises(RuntimeError, match=r"site\.open"):
        require_access_rules(app)


def test_files_have_a_version_and_are_kept(app: Flask):
    page = Visitor(app).get("/").text
    address = page.split('rel="stylesheet" href="')[1].split('"')[0]
    assert "?v=" in address
    kept = Visitor(app).get(address)
    assert kept.status_code == 200 and "immutable" in kept.headers["Cache-Control"]
    assert "immutable" not in Visitor(app).get(address.partition("?")[0]).headers.get("Cache-Control", "")
