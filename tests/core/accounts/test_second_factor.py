"""Codes of an authenticator app, and recovery codes (PORTAL-50 to PORTAL-54, MODEL-64)."""

import hashlib
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from flask import Flask
from sqlalchemy.orm import Session

from core.accounts.second_factor import (
    begin_totp,
    check_code,
    clear_second_factor,
    confirm_totp,
    matching_step,
    provisioning_uri,
    recovery_codes_left,
    remove_totp,
    renew_recovery_codes,
    tidied_code,
)
from core.audit import SERVER
from core.database import db
from core.models import AuditRecord, RecoveryCode, Researcher
from tests.support.factories import Factory

NOW = datetime(2030, 1, 1, 12, 0, 15, tzinfo=UTC)
GOLDEN = "IFAUCQKBIFAUCQKBIFAUCQKBIFAUCQKBIFAUCQKBIFAUCQKBIFAQ"


@pytest.fixture
def session(factory: Factory) -> Session:
    return db.session()


@pytest.fixture
def researcher(factory: Factory) -> Researcher:
    return factory.researcher("mlopez")


@pytest.fixture
def secret(session: Session, researcher: Researcher) -> str:
    """The researcher's secret, set up a minute ago."""
    secret = begin_totp(researcher, NOW - timedelta(minutes=1))
    assert confirm_totp(session, researcher, code_of(secret, -60), NOW - timedelta(minutes=1), actor=SERVER)
    session.commit()
    return secret


def code_of(secret: str, seconds: int = 0) -> str:
    return pyotp.TOTP(secret).at(NOW + timedelta(seconds=seconds))


def test_the_golden_secret_gives_the_golden_code():
    """MODEL-64: secrets of the existing platform keep working."""
    at = datetime.fromtimestamp(1_700_000_000, UTC)
    assert matching_step(GOLDEN, "484240", at) == 1_700_000_000 // 30
    assert matching_step(GOLDEN, "484241", at) is None


@pytest.mark.parametrize(("seconds", "is_right"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_a_code_is_good_one_step_early_and_late(seconds: int, is_right: bool):
    """PORTAL-50."""
    assert (matching_step(GOLDEN, code_of(GOLDEN, seconds), NOW) is not None) == is_right


def test_a_code_opens_once_and_none_before_it(session: Session, researcher: Researcher, secret: str):
    """PORTAL-51: step n+1 used, then n: refused."""
    early = check_code(session, researcher, code_of(secret, 30), NOW)
    now = check_code(session, researcher, code_of(secret), NOW)
    assert early is not None and now is not None, "a check alone uses nothing up"
    assert early.use(session, NOW) and not early.use(session, NOW) and not now.use(session, NOW)
    session.commit()
    session.refresh(researcher)
    assert check_code(session, researcher, code_of(secret, 30), NOW) is None
    assert check_code(session, researcher, code_of(secret), NOW) is None


def test_the_code_that_set_the_app_up_is_used(session: Session, researcher: Researcher):
    secret = begin_totp(researcher, NOW)
    assert not confirm_totp(session, researcher, "000000", NOW, actor=SERVER)
    assert researcher.totp_enabled_at is None, "an unconfirmed secret asks for nothing"
    assert confirm_totp(session, researcher, code_of(secret), NOW, actor=SERVER)
    session.commit()
    assert check_code(session, researcher, code_of(secret), NOW) is None


def test_a_new_secret_waits_ten_minutes(session: Session, researcher: Researcher):
    secret = begin_totp(researcher, NOW - timedelta(minutes=11))
    assert not confirm_totp(session, researcher, code_of(secret), NOW, actor=SERVER)


def test_secrets_are_sealed_and_have_the_platforms_length(session: Session, researcher: Researcher, secret: str):
    """PORTAL-52, PERM-81."""
    assert len(secret) == 52 and "issuer=beiwe.example.org" in provisioning_uri(secret, "mlopez", "beiwe.example.org")
    stored = session.execute(db.text("SELECT totp_secret FROM researchers WHERE totp_secret IS NOT NULL")).scalar_one()
    assert secret not in stored
    audit = session.scalars(db.select(AuditRecord).filter_by(action="researcher.second_factor")).all()
    assert [row.detail for row in audit] == [{"username": "mlopez", "after": "app"}]


def test_each_recovery_code_opens_once(session: Session, researcher: Researcher, secret: str):
    """PORTAL-54."""
    codes = renew_recovery_codes(session, researcher, actor=SERVER)
    session.commit()
    assert len(set(codes)) == 10 and recovery_codes_left(session, researcher) == 10
    proof = check_code(session, researcher, f" {codes[0].upper()} ", NOW)
    assert proof is not None and proof.use(session, NOW) and not proof.use(session, NOW)
    session.commit()
    assert check_code(session, researcher, codes[0], NOW) is None and recovery_codes_left(session, researcher) == 9
    renew_recovery_codes(session, researcher, actor=SERVER)
    assert check_code(session, researcher, codes[1], NOW) is None, "new codes void the old ones"


def test_recovery_codes_are_salted_and_older_ones_still_open(app: Flask, factory: Factory):
    """PORTAL-54: a copy of the table cannot be compared with hashes that were computed beforehand."""
    person = factory.researcher()
    codes = renew_recovery_codes(db.session(), person, actor=SERVER)
    old = "abcdefgh2345"
    plain = hashlib.sha256(f"{person.id}:{old}".encode()).digest()
    db.session.add(RecoveryCode(researcher_id=person.id, code_hash=plain))
    db.session.commit()
    stored = [bytes(row) for row in db.session.scalars(db.select(RecoveryCode.code_hash))]
    salts = {row[:16] for row in stored if len(row) == 48}
    assert len(salts) == 10
    now = datetime.now(UTC)
    for code in (codes[0], codes[-1], old):
        proof = check_code(db.session(), person, code, now)
        assert proof is not None and proof.use(db.session(), now)
        assert check_code(db.session(), person, code, now) is None


def test_a_recovery_code_is_good_for_its_own_account_only(session: Session, factory: Factory, researcher: Researcher):
    codes = renew_recovery_codes(session, researcher, actor=SERVER)
    session.commit()
    assert check_code(session, factory.researcher("other"), codes[0], NOW) is None


@pytest.mark.parametrize("typed", ["12345", "1234567", "12345a", "", "１２３４５６", "abcd-efgh", "x" * 500])
def test_what_is_no_code_is_none(typed: str):
    assert tidied_code(typed) is None


def test_blanks_and_dashes_do_not_matter():
    assert tidied_code(" 123 456 ") == "123456" and tidied_code("ABCD-efgh-2345") == "abcdefgh2345"


def test_clearing_removes_all_factors_and_ends_sessions(session: Session, researcher: Researcher, secret: str):
    """PORTAL-56, PORTAL-29."""
    codes, token = renew_recovery_codes(session, researcher, actor=SERVER), researcher.session_token
    clear_second_factor(session, researcher, actor=SERVER)
    session.commit()
    assert researcher.totp_enabled_at is None and researcher.session_token != token
    assert check_code(session, researcher, codes[0], NOW) is None
    assert check_code(session, researcher, code_of(secret), NOW) is None


def test_removing_the_last_factor_forgets_recovery_codes(session: Session, researcher: Researcher, secret: str):
    renew_recovery_codes(session, researcher, actor=SERVER)
    remove_totp(session, researcher, actor=SERVER)
    session.commit()
    assert recovery_codes_left(session, researcher) == 0
