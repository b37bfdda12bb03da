"""The unmodified `mano` 0.6 client against the data API over real HTTP (data-api.md, What mano needs)."""

import json
import locale
import zipfile
from pathlib import Path

import pytest

from core.audit import SERVER
from core.database import db
from core.models import Study
from core.participants import create_participants
from ops.phones import Phone, Platform, Transport
from tests.core.processing.test_batch import process
from tests.support.factories import RESEARCHER_PASSWORD, Factory
from webapp.stores import object_store, sealed_store

with pytest.MonkeyPatch.context() as patch:  # it asks for a locale that a small machine lacks
    patch.setattr(locale, "setlocale", lambda *_: "C")
    import mano.mano as mano
    from mano import sync

START_MS, HALF_AN_HOUR_MS = 1_700_002_800_000, 1_800_000


@pytest.fixture
def keyring(server: str, factory: Factory) -> dict[str, str]:
    """What a researcher puts into mano's keyring."""
    key = factory.api_key(factory.researcher("analyst", is_site_admin=True))
    return {
        "URL": server,
        "USERNAME": "analyst",
        "PASSWORD": RESEARCHER_PASSWORD,
        "ACCESS_KEY": key["access_key"],
        "SECRET_KEY": key["secret_key"],
    }


def uploaded(server: str, study: Study) -> list[str]:
    """Patient ids of an Android and an iOS phone that have registered and uploaded half an hour."""
    new = create_participants(db.session(), sealed_store(study), study, 2, actor=SERVER)
    for participant, platform in zip(new, (Platform.ANDROID, Platform.IOS), strict=True):
        phone = Phone(participant.patient_id, participant.password, platform, Transport(server))
        phone.register()
        for alias in ("gps", "accel"):
            phone.collect(alias, START_MS, START_MS + HALF_AN_HOUR_MS)
        phone.upload_round()
        assert not phone.outbox.waiting()
    assert not process().failures
    return [participant.patient_id for participant in new]


def names(archive: zipfile.ZipFile) -> set[str]:
    return {name for name in archive.namelist() if name != "registry"}


def test_mano_lists_downloads_and_extracts_what_simulated_phones_uploaded(
    server: str, factory: Factory, keyring: dict[str, str], tmp_path: Path
):
    """DATA-20, DATA-22, DATA-24, DATA-40, CLAR-71: a download with the registry of the first brings nothing again."""
    study = factory.study("Sleep and movement")
    patients = uploaded(server, study)
    assert list(mano.studies(keyring)) == [("Sleep and movement", study.object_id)]
    assert sorted(mano.users(keyring, study.object_id)) == sorted(patients)

    archive = sync.download(keyring, study.object_id, patients, data_streams=["gps", "accelerometer"])
    registry = json.loads(archive.read("registry"))
    assert {path.split("/")[2] for path in registry} == set(patients)
    for patient in patients:
        own = sync.download(keyring, study.object_id, [patient], data_streams=["gps", "accelerometer"])
        assert sync.save(keyring, own, patient, str(tmp_path)) == len(names(own)) > 0
        for stream in ("gps", "accelerometer"):
            files = list((tmp_path / patient / stream).iterdir())
            assert files
            assert all(file.read_text().startswith("timestamp,UTC time,") for file in files)
    again = sync.download(
        keyring, study.object_id, patients, data_streams=["gps", "accelerometer"], registry=json.dumps(registry)
    )
    assert names(again) == set()
    bare = sync.download(keyring, study.object_id, patients, data_streams=["gps", "accelerometer"], registry=registry)
    assert names(bare) == names(archive), "a dict is sent as paths without hashes: everything comes (CLAR-71)"


def test_mano_saves_an_answer_that_lacks_a_file(server: str, factory: Factory, keyring: dict[str, str], tmp_path: Path):
    """CLAR-70: what is missing is listed in a file of the patient's folder."""
    study = factory.study("Sleep and movement")
    patient = uploaded(server, study)[0]
    registry = json.loads(sync.download(keyring, study.object_id, [patient]).read("registry"))
    gone = next(path for path in registry if "/gps/" in path)
    object_store().delete(gone + ".zst")
    archive = sync.download(keyring, study.object_id, [patient], data_streams=["gps", "accelerometer"])
    assert sync.save(keyring, archive, patient, str(tmp_path)) == len(names(archive))
    assert gone in (tmp_path / patient / "problems" / "problems.json").read_text()


def test_mano_takes_a_404_as_nothing_to_download(factory: Factory, keyring: dict[str, str]):
    """DATA-20: a participant that does not exist."""
    assert sync.download(keyring, factory.study().object_id, ["nobody11"]) is None


def test_mano_signs_in_to_the_portal(keyring: dict[str, str]):
    """PORTAL-6: without a token, and gets the session's cookie."""
    assert list(mano.login(keyring))
