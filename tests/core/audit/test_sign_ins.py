"""The log of sign-ins: names of accounts alone, addresses, browsers in a few words (PORTAL-290)."""

import pytest
from flask import Flask

from core.accounts.changing import set_enabled
from core.audit import COMMAND_LINE
from core.audit.browsers import LONGEST, UNKNOWN, browser_in_words
from core.audit.sign_ins import recent_sign_ins
from core.database import db
from core.models import SignInRecord
from tests.support.factories import Factory
from tests.support.portal_visitor import Visitor

MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:128.0) Gecko/20100101 Firefox/128.0"


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (MAC, "Firefox on macOS"),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0 Safari/537.36",
            "Chrome on Linux",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/120.0 Safari/537.36 Edg/120.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Mobile Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36", "Chrome on Android"),
        ("python-requests/2.32.3", "python-requests"),
        ("Mozilla/5.0", UNKNOWN),
        ("<script>alert(1)</script>", UNKNOWN),
        ("a" * 500 + "/1", UNKNOWN),
        ("", UNKNOWN),
        (None, UNKNOWN),
    ],
)
def test_a_browser_is_told_in_a_few_words(header: str | None, words: str):
    """PORTAL-290: nothing else of the header is kept."""
    assert browser_in_words(header) == words
    assert len(words) <= LONGEST


def log() -> list[tuple[str | None, str]]:
    db.session.rollback()
    rows = db.session.scalars(db.select(SignInRecord).order_by(SignInRecord.id))
    return [(row.username, row.outcome) for row in rows]


def test_sign_ins_refusals_and_sign_outs_are_recorded(app: Flask, factory: Factory):
    """PORTAL-290: who, what came of it, from where, with what; the newest first for one's own page."""
    ada = factory.researcher("ada")
    visitor = Visitor(app)
    visitor.client.environ_base["HTTP_USER_AGENT"] = MAC
    visitor.sign_in("ada", "wrong")
    answer = visitor.sign_in("ada")
    visitor.post("/logout")
    assert log() == [("ada", "wrong_password"), ("ada", "signed_in"), ("ada", "signed_out")]
    newest = recent_sign_ins(db.session(), ada, 2)
    assert [row.outcome for row in newest] == ["signed_out", "signed_in"]
    assert (newest[1].address, newest[1].browser) == ("127.0.0.1", "Firefox on macOS")
    assert (newest[1].researcher_id, newest[1].request_id) == (ada.id, answer.headers["X-Request-ID"])


def test_a_password_typed_into_the_name_field_is_stored_nowhere(app: Flask, factory: Factory):
    """PORTAL-290: a name that no account has is only said to be unknown; case counts, as for signing in."""
    factory.researcher("ada")
    Visitor(app).sign_in("Correct horse 1! and more", "")
    Visitor(app).sign_in("ADA")
    assert log() == [(None, "unknown_name")]  # the second one within a minute
    assert "horse" not in str(list(db.session.execute(db.text("SELECT * FROM sign_in_records"))))


def test_a_disabled_account_is_named_and_floods_leave_few_rows(app: Flask, factory: Factory):
    """PORTAL-290, PORTAL-22: a locked name costs no hash, so its refusals are recorded once a minute."""
    ada = factory.researcher("ada")
    set_enabled(db.session(), ada, False, actor=COMMAND_LINE)
    db.session.commit()
    visitor = Visitor(app)
    visitor.sign_in("ada")
    assert log() == [("ada", "disabled")]
    for _ in range(14):
        visitor.sign_in("ada", "wrong")
    assert [outcome for _, outcome in log()].count("locked") == 1
    assert len(log()) == 11
