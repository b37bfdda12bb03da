"""Push credentials: what is accepted, how it is kept, what phones are handed (NOTIF-33, PHONE-36, PHONE-37)."""

import json
import plistlib
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from flask import Flask
from flask_migrate import downgrade, upgrade

from core.audit import SERVER
from core.database import db
from core.models import CredentialKind
from core.notifications.credential_files import MOST_BYTES, CredentialRefused, checked_contents, phone_plist
from core.notifications.credentials import (
    apns_key,
    firebase_files_for_phone,
    remove_credential,
    service_account,
    store_credential,
    uploaded_credentials,
)
from core.streams import Platform
from tests.support.fakes.google import FakeGoogle, private_key

NOW = datetime(2026, 3, 4, tzinfo=UTC)
BACKEND, ANDROID, IOS, APNS = CredentialKind
ACCOUNT = FakeGoogle("http://127.0.0.1:9").service_account
SERVICES = {"project_info": {"project_id": "p", "project_number": "1"}, "client": [{"name": "é"}]}
PLIST = {
    "GOOGLE_APP_ID": "1:2:ios:3",
    "GCM_SENDER_ID": "123",
    "API_KEY": "AIza",
    "PROJECT_ID": "p",
    "BUNDLE_ID": "org.example.app",
    "IS_ADS_ENABLED": False,
    "PLIST_VERSION": "1",
}


def pem(key: Any, password: bytes = b"") -> str:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()


P256 = ec.generate_private_key(ec.SECP256R1())
APPLE = {"key": pem(P256), "key_id": "ABC1234567", "team_id": "TEAM123456", "topic": "org.example.app"}


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def store(kind: CredentialKind, data: bytes, at: datetime = NOW) -> None:
    store_credential(db.session(), kind, data, at, actor=SERVER)
    db.session.commit()


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        (BACKEND, b"", "not a JSON file"),
        (BACKEND, b"\xff\xfe", "not a JSON file"),
        (BACKEND, b"[" * 100_000, "not a JSON file"),
        (BACKEND, b'{"a": NaN}', "not a JSON file"),
        (BACKEND, b"[]", "holds no object"),
        (BACKEND, as_json(SERVICES), "the Android app's google-services file"),
        (BACKEND, as_json({"type": "service_account"}), "project_id, client_email, private_key, token_uri are missing"),
        (BACKEND, as_json(ACCOUNT | {"type": "authorized_user"}), "its type is another"),
        (BACKEND, as_json(ACCOUNT | {"client_email": " "}), "client_email is missing"),
        (BACKEND, as_json(ACCOUNT | {"token_uri": "http://tokens.example/"}), "token_uri is not an https address"),
        (BACKEND, as_json(ACCOUNT | {"private_key": ACCOUNT["private_key"][:-200]}), "private key cannot be read"),
        (BACKEND, as_json(ACCOUNT | {"private_key": pem(private_key(), b"secret")}), "or has a password"),
        (BACKEND, as_json(ACCOUNT | {"private_key": pem(P256)}), "not an RSA key"),
        (ANDROID, b"<plist/>", "not a JSON file"),
        (ANDROID, as_json({"project_info": []}), "no project_info with a project_id"),
        (ANDROID, as_json({"project_info": {"project_id": 7}}), "no project_info with a project_id"),
        (IOS, as_json(SERVICES), "not a property list"),
        (IOS, b"<?xml version='1.0'?><!DOCTYPE p [<!ENTITY a 'b'>]><plist><dict/></plist>", "not a property list"),
        (IOS, b"bplist00" + bytes(40), "not a property list"),
        (IOS, b"<plist><date>never</date></plist>", "not a property list"),
        (IOS, b"<plist>" + b"<array>" * 9_000 + b"</array>" * 9_000 + b"</plist>", "API_KEY"),
        (IOS, plistlib.dumps(["API_KEY"]), "no API_KEY"),
        (IOS, plistlib.dumps({"API_KEY": 1}), "no API_KEY"),
        (APNS, as_json({"key": "x"}), "comes with key, key_id, team_id, topic and is_sandbox"),
        (APNS, as_json(APPLE | {"is_sandbox": "no"}), "true or false"),
        (APNS, as_json(APPLE | {"key_id": "abc"}), "key id is not ten"),
        (APNS, as_json(APPLE | {"team_id": "TEAM12345\n"}), "team id is not ten"),
        (APNS, as_json(APPLE | {"topic": "app"}), "not a bundle id"),
        (APNS, as_json(APPLE | {"key": pem(private_key())}), "not one of Apple's"),
        (APNS, as_json(APPLE | {"key": pem(ec.generate_private_key(ec.SECP384R1()))}), "not one of Apple's"),
        (APNS, as_json(APPLE | {"key": pem(ed25519.Ed25519PrivateKey.generate())}), "not one of Apple's"),
        (APNS, as_json(APPLE | {"key": "-----BEGIN PRIVATE KEY-----"}), "private key cannot be read"),
        (ANDROID, b" " * (MOST_BYTES + 1), "larger than 256 KiB"),
    ],
)
def test_a_wrong_file_is_refused_with_the_reason(kind: CredentialKind, data: bytes, said: str):
    """NOTIF-33, and NOTIF-34 for Apple's key; the reason quotes nothing from the file."""
    with pytest.raises(CredentialRefused) as refusal:
        checked_contents(kind, data)
    assert said in str(refusal.value)
    assert "BEGIN" not in str(refusal.value)


def test_a_new_file_takes_the_place_of_the_old_one(app: Flask):
    """NOTIF-33: one current one of each kind, and it is known which there are."""
    assert service_account(db.session()) is None and apns_key(db.session()) is None
    store(BACKEND, as_json(ACCOUNT))
    store(BACKEND, b"\xef\xbb\xbf" + as_json(ACCOUNT | {"project_id": "second"}), NOW.replace(day=5))
    store(APNS, as_json(APPLE | {"is_sandbox": True}))
    assert uploaded_credentials(db.session()) == {BACKEND: NOW.replace(day=5), APNS: NOW}
    assert service_account(db.session()) == ACCOUNT | {"project_id": "second"}
    key = apns_key(db.session())
    assert key and (key.topic, key.is_sandbox, key.key) == ("org.example.app", True, APPLE["key"])
    assert "BEGIN" not in repr(key)
    with pytest.raises(CredentialRefused):
        store_credential(db.session(), BACKEND, b"{}", NOW, actor=SERVER)
    assert service_account(db.session()) is not None
    remove_credential(db.session(), BACKEND, actor=SERVER)
    assert service_account(db.session()) is None


def test_credentials_are_sealed_in_the_database(app: Flask):
    """MODEL-65."""
    store(BACKEND, as_json(ACCOUNT))
    store(IOS, plistlib.dumps(PLIST))
    rows = db.session.scalars(sa.text("SELECT contents FROM push_credentials")).all()
    assert len(rows) == 2 and all(row.startswith("v1.") for row in rows)
    assert not any("BEGIN" in row or "AIza" in row for row in rows)


def test_each_platform_is_handed_its_own_file(app: Flask):
    """PHONE-36: null for the other platform, and while there is none."""
    nothing = {"ios_plist": None, "android_firebase_json": None}
    for platform in Platform:
        assert firebase_files_for_phone(db.session(), platform) == nothing
    store(ANDROID, as_json(SERVICES))
    store(IOS, plistlib.dumps(PLIST, fmt=plistlib.FMT_BINARY))
    assert firebase_files_for_phone(db.session(), Platform.ANDROID) == nothing | {"android_firebase_json": SERVICES}
    assert firebase_files_for_phone(db.session(), Platform.IOS) == nothing | {"ios_plist": PLIST}


@pytest.mark.parametrize("name", ["GOOGLE_APP_ID", "GCM_SENDER_ID", "API_KEY", "PROJECT_ID", "BUNDLE_ID"])
def test_an_incomplete_plist_is_kept_from_ios(name: str):
    """PHONE-37: malformed values can crash the app."""
    for value in (None, "", " ", 123, ["x"]):
        plist = {k: v for k, v in (PLIST | {name: value}).items() if v is not None}
        assert phone_plist(plistlib.dumps(plist).decode()) is None
    assert phone_plist(plistlib.dumps(PLIST | {"STORAGE_BUCKET": 1}).decode()) is None


def test_what_json_cannot_hold_does_not_break_a_registration():
    """PHONE-37: bytes, dates and infinite numbers of a plist."""
    odd = {"ODD": {"bytes": b"\x00\xff", "when": datetime(2026, 1, 2, 3, 4, 5), "numbers": [float("inf"), 1.5]}}
    plist = phone_plist(plistlib.dumps(PLIST | odd).decode())
    assert plist is not None
    assert plist["ODD"] == {"bytes": "AP8=", "when": "2026-01-02T03:04:05", "numbers": [None, 1.5]}
    assert json.loads(json.dumps(plist, allow_nan=False)) == plist


def test_the_database_keeps_kinds_within_their_set_and_the_migration_goes_both_ways(app: Flask):
    """MODEL-100."""
    with pytest.raises(sa.exc.IntegrityError):
        db.session.execute(sa.text("INSERT INTO push_credentials (kind, contents) VALUES ('other', 'x')"))
    db.session.rollback()
    store(ANDROID, as_json(SERVICES))
    db.session.remove()
    downgrade(revision="0003")
    assert "push_credentials" not in sa.inspect(db.engine).get_table_names()
    upgrade()
    assert uploaded_credentials(db.session()) == {}


@pytest.mark.parametrize("entity", ['<!ENTITY a "x">', '<!ENTITY a SYSTEM "file:///etc/passwd">'])
def test_entities_in_a_property_list_are_refused(entity: str):
    """NOTIF-33: neither files of the server nor texts that grow without end."""
    contents = "<plist><dict><key>API_KEY</key><string>&a;</string></dict></plist>"
    text = f'<?xml version="1.0"?><!DOCTYPE plist [{entity}]>{contents}'
    with pytest.raises(CredentialRefused):
        checked_contents(IOS, text.encode())
