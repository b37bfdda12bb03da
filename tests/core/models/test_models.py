"""Constraints and rules that the database itself keeps (MODEL-100, MODEL-101), and the migrations that make them."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy.exc import IntegrityError

from core.audit import SERVER
from core.database import db
from core.models import AppSettings, Chunk, Participant, ParticipantActivity, Study
from core.studies import StudyRefused, apply_app_settings, create_study
from tests.support.factories import Factory


def refused(statement: sa.Executable) -> bool:
    try:
        db.session.execute(statement)
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        return True
    return False


def test_studies_and_participants_cannot_be_deleted_while_anything_hangs_on_them(app: Flask, factory: Factory):
    """MODEL-101."""
    study = factory.participant().study
    assert refused(sa.delete(Study).where(Study.id == study.id))


def test_a_bulk_insert_without_defaults_keeps_them(app: Flask, factory: Factory):
    """MODEL-100: defaults live in the database too."""
    study = factory.study()
    db.session.execute(
        sa.text("INSERT INTO participants (patient_id, study_id, password_hash) VALUES ('abc12345', :s, 'x')"),
        {"s": study.id},
    )
    row = db.session.scalars(db.select(Participant)).one()
    assert (row.device_id, row.has_easy_enrollment, row.retired_at, row.os_type) == ("", False, None, None)
    assert row.created_at is not None


@pytest.mark.parametrize(
    "values",
    [("ABC", "ANDROID"), ("abc0", "ANDROID"), ("abcdefghi", "ANDROID"), ("abc", "Windows"), ("", "IOS")],
)
def test_ids_and_platforms_outside_their_set_are_refused_by_the_database(
    app: Flask, factory: Factory, values: tuple[str, str]
):
    """MODEL-30, MODEL-100."""
    study = factory.study()
    patient_id, os_type = values
    row = {"patient_id": patient_id, "os_type": os_type, "study_id": study.id, "password_hash": "x"}
    assert refused(sa.insert(Participant).values(row))


def test_names_of_studies_differ_also_when_case_is_ignored(app: Flask, factory: Factory):
    """MODEL-101, PORTAL-80."""
    factory.study("Sleep  and\tmovement")
    create_study(db.session(), "SLEEP and movement", actor=SERVER)
    with pytest.raises(IntegrityError):
        db.session.commit()
    db.session.rollback()
    for name in ("", " ", "x" * 201, "a\x07b"):
        with pytest.raises(StudyRefused):
            create_study(db.session(), name, actor=SERVER)


def test_one_chunk_for_each_participant_stream_hour_and_survey(app: Flask, factory: Factory):
    """MODEL-104, MODEL-2: keys are 64-bit."""
    participant = factory.participant()
    survey = factory.survey(participant.study)
    common = {
        "participant_id": participant.id,
        "study_id": participant.study_id,
        "stream": 14,
        "time_bin": datetime(2024, 1, 1, tzinfo=UTC),
    }
    for more in ({"survey_id": None}, {"survey_id": survey.id}, {"path": "a"}, {"path": "b"}):
        assert not refused(sa.insert(Chunk).values(**common, **more))
        assert refused(sa.insert(Chunk).values(**common, **more))
    assert isinstance(Chunk.__table__.c.id.type, sa.BigInteger)
    assert refused(sa.insert(Chunk).values(**common, path="c", md5=b"short"))


def test_the_newest_activity_is_the_greatest_of_all_its_times(app: Flask, factory: Factory):
    """MODEL-101, PHONE-126: kept by the database; first registration is no activity."""
    participant = factory.participant()
    row = db.session.get(ParticipantActivity, participant.id)
    assert row.last_activity_at is None
    row.first_registered_at = datetime(2030, 1, 1, tzinfo=UTC)
    row.last_upload_at = datetime(2024, 1, 2, tzinfo=UTC)
    row.last_heartbeat_at = datetime(2024, 1, 3, tzinfo=UTC)
    db.session.commit()
    db.session.refresh(row)
    assert row.last_activity_at == datetime(2024, 1, 3, tzinfo=UTC)


def test_a_study_is_stopped_by_hand_by_hiding_or_by_its_end(app: Flask, factory: Factory):
    """MODEL-20, PORTAL-92."""
    study, now = factory.study(), datetime.now(UTC)
    assert not study.is_stopped(now)
    for column, value in (("is_stopped_by_hand", True), ("hidden_at", now), ("end_on", datetime(2020, 1, 1).date())):
        before = getattr(study, column)
        setattr(study, column, value)
        assert study.is_stopped(now)
        setattr(study, column, before)
    assert len(study.storage_key) == 32


def test_study_keys_are_sealed_in_the_database(app: Flask, factory: Factory):
    """MODEL-65, STORE-6."""
    study = factory.study()
    stored = db.session.execute(sa.text("SELECT encryption_key FROM studies")).scalar_one()
    assert stored.startswith("v1.")
    assert study.encryption_key not in stored
    assert len(study.object_id) == 24
    assert study.object_id.isalnum()


def test_app_settings_refuse_what_phones_could_not_read(app: Flask, factory: Factory):
    """SURVEY-40, PHONE-40: all problems are named, and nothing is changed."""
    settings = AppSettings()
    with pytest.raises(StudyRefused) as error:
        apply_app_settings(settings, {"gps": "yes", "nonsense": 1, "wifi_log_frequency_seconds": 9, "calls": False})
    for name in ("gps", "nonsense", "wifi_log_frequency_seconds"):
        assert name in str(error.value)
    assert settings.calls is None
    apply_app_settings(settings, {"gps": False, "consent_sections": {"welcome": {"text": "Hello"}}})
    assert settings.gps is False


def test_migrations_go_down_and_up_again_and_match_the_models(app: Flask, factory: Factory):
    """OPS-43: one runner at a time, by an advisory lock."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    factory.study()
    db.session.remove()
    downgrade(revision="base")
    assert sa.inspect(db.engine).get_table_names() == ["alembic_version"]
    upgrade()
    with db.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), db.metadata) == []
