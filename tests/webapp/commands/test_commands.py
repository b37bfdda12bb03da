"""Management commands: JSON, lines, and one clear line with exit status 1 for bad input."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from core.crypto.passwords import verify_password
from core.database import db
from core.models import ApiKey, Participant, Researcher, Study, StudyRole
from tests.core.processing.test_batch import HEADER, queue
from tests.support.factories import Factory


@pytest.fixture
def run(app: Flask):
    def run(*arguments: str, fails: bool = False) -> Any:
        result: Result = app.test_cli_runner().invoke(args=[*arguments, "--json"])
        if fails:
            assert result.exit_code == 1
            assert len(result.stderr.strip().splitlines()) == 1
            assert result.stderr.startswith("Error: ")
            return result.stderr
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return run


def test_an_account_gets_a_one_time_password(run, app: Flask):
    """PORTAL-41."""
    made = run("admin", "create", "--username", "anna", "--site-admin")
    researcher = db.session.scalars(db.select(Researcher)).one()
    assert verify_password(made["password"], researcher.password_hash)
    assert (researcher.is_site_admin, researcher.must_change_password) == (True, True)
    assert run("admin", "list") == [{"username": "anna", "is_site_admin": True, "is_disabled": False}]
    assert "taken" in run("admin", "create", "--username", "ANNA", fails=True)
    run("admin", "create", "--username", "an na", fails=True)
    run("admin", "create", "--username", "ben", "--password", "short", fails=True)


def test_an_account_is_changed(run, app: Flask, factory: Factory):
    """PORTAL-29: a reset ends all sessions."""
    researcher = factory.researcher("anna")
    token = researcher.session_token
    password = run("admin", "update", "--username", "anna", "--reset-password")["password"]
    run("admin", "update", "--username", "anna", "--reset-mfa")
    assert verify_password(password, researcher.password_hash)
    assert researcher.session_token != token
    run("admin", "update", "--username", "anna", "--disable", "--site-admin")
    assert (researcher.is_disabled, researcher.is_site_admin) == (True, True)
    run("admin", "update", "--username", "nobody", "--enable", fails=True)


def test_keys_are_made_and_disabled(run, app: Flask, factory: Factory):
    """DATA-4."""
    factory.researcher("anna")
    key = run("api-key", "create", "--username", "anna")
    assert {len(value) for value in key.values()} == {64}
    stored = db.session.scalars(db.select(ApiKey)).one()
    assert key["secret_key"] not in stored.secret_hash
    run("api-key", "disable", key["access_key"])
    assert not stored.is_active
    run("api-key", "disable", "nothing", fails=True)


def test_a_study_is_made_with_settings_and_changed(run, app: Flask, factory: Factory, tmp_path: Path):
    """SURVEY-40, SURVEY-50, PORTAL-80."""
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"device_settings": {"gps": False}, "surveys": []}))
    study_id = run("study", "create", "--name", "Sleep", "--settings", str(settings), "--timezone", "Europe/Berlin")[
        "object_id"
    ]
    run("study", "update", study_id, "--stop", "--end-date", "2030-01-31", "--easy-enrollment")
    study = db.session.scalars(db.select(Study).options(db.joinedload(Study.app_settings))).one()
    assert study.app_settings.gps is False
    assert (study.timezone_name, study.is_stopped_by_hand, str(study.end_on)) == ("Europe/Berlin", True, "2030-01-31")
    run("study", "update", study_id, "--start", "--end-date", "none", "--hide")
    assert (study.is_stopped_by_hand, study.end_on, study.hidden_at is not None) == (False, None, True)
    settings.write_text("[]")
    for wrong in (
        ("create", "--name", "sleep"),
        ("create", "--name", " "),
        ("create", "--name", "x", "--timezone", "Mars"),
        ("create", "--name", "x", "--encryption-key", "short"),
        ("create", "--name", "x", "--settings", str(settings)),
        ("create", "--name", "x", "--settings", str(tmp_path / "none")),
        ("update", "unknown", "--stop"),
        ("update", study_id, "--end-date", "31.1.2030"),
        ("create",),
        ("update", study_id, "--nonsense"),
    ):
        run("study", *wrong, fails=True)


def test_a_role_is_given_changed_and_taken(run, app: Flask, factory: Factory):
    """PERM-1: at most one role for a pair; PERM-2: at once."""
    study = factory.study()
    factory.researcher("anna")
    for role in ("study_researcher", "study_analyst", "study_viewer", "study_admin"):
        run("study", "grant", study.object_id, "--username", "anna", "--role", role)
        assert db.session.scalars(db.select(StudyRole.role)).all() == [role]
    run("study", "grant", study.object_id, "--username", "anna", "--role", role, "--ends-on", "2030-01-31")
    assert str(db.session.scalar(db.select(StudyRole.ends_on))) == "2030-01-31"
    run("study", "grant", study.object_id, "--username", "anna", "--role", role, "--ends-on", "2001-01-31", fails=True)
    run("study", "grant", study.object_id, "--username", "anna", "--role", "none")
    assert db.session.scalars(db.select(StudyRole.role)).all() == []
    run("study", "grant", study.object_id, "--username", "nobody", "--role", "none", fails=True)
    run("study", "grant", study.object_id, "--username", "anna", "--role", "owner", fails=True)


def test_participants_are_made_and_changed(run, app: Flask, factory: Factory):
    """PHONE-30."""
    study = factory.study()
    made = run("participant", "create", "--study", study.object_id, "--count", "2")
    assert [len(p["patient_id"]) for p in made] == [8, 8]
    patient_id = made[0]["patient_id"]
    changed = run("participant", "update", patient_id, "--retire", "--reset-device", "--reset-password")
    row = db.session.scalars(db.select(Participant).where(Participant.patient_id == patient_id)).one()
    assert row.retired_at is not None
    assert changed["password"] != made[0]["password"]
    run("participant", "create", "--study", "unknown", fails=True)
    run("participant", "create", "--study", study.object_id, "--count", "many", fails=True)
    run("participant", "update", "nobody11", "--retire", fails=True)


def test_uploads_are_processed_without_a_prefect_server(run, app: Flask, factory: Factory):
    """OPS-23."""
    participants = [factory.participant(), factory.participant()]
    for participant in participants:
        queue(factory, participant, "accel/1700002800000.csv", HEADER + b"1700002801000,3,1,1,1")
    assert run("process-uploads", "--participant", participants[0].patient_id)["files"] == 1
    assert run("process-uploads", "--study", participants[0].study.object_id)["files"] == 0
    assert run("process-uploads")["files"] == 1
    run("process-uploads", "--study", "unknown", fails=True)
    run("process-uploads", "--participant", "nobody11", fails=True)
