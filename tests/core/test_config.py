"""Settings (OPS-1, OPS-2) and the secrets derived from them (MODEL-65)."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from core.config import REPOSITORY, ConfigurationError, Settings, load_settings, spare_local_addresses_a_proxy
from core.crypto.secrets import SecretUnreadable, open_secret, seal_secret

PRODUCTION = {
    "BEIWE_ENV": "production",
    "FLASK_SECRET_KEY": "x" * 40,
    "DOMAIN_NAME": "beiwe.example.org",
    "S3_BUCKET": "b",
    "TRUSTED_PROXY_HOPS": "1",
    "S3_ACCESS_CREDENTIALS_USER": "u",
    "S3_ACCESS_CREDENTIALS_KEY": "k",
    "RDS_DB_NAME": "d",
    "RDS_USERNAME": "u",
    "RDS_PASSWORD": "p@ss/word",
    "RDS_HOSTNAME": "db.example.org",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name in variables():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VAR_DIR", str(tmp_path))
    return monkeypatch


def variables() -> list[str]:
    """Every environment variable that a setting is read from."""
    names = []
    for field in Settings.model_fields.values():
        alias = field.validation_alias
        names += [alias] if isinstance(alias, str) else [str(choice) for choice in alias.choices]
    return names


def test_production_names_every_missing_setting_at_once(environment: pytest.MonkeyPatch):
    """OPS-1, OPS-2: an empty string and a single space are missing."""
    environment.setenv("BEIWE_ENV", "production")
    environment.setenv("S3_BUCKET", "")
    environment.setenv("RDS_HOSTNAME", " ")
    with pytest.raises(ConfigurationError) as error:
        load_settings()
    missing = set(PRODUCTION) - {"BEIWE_ENV"}
    assert set(str(error.value).split(": ")[1].split(", ")) == missing


def test_production_starts_with_all_of_them(environment: pytest.MonkeyPatch):
    """OPS-1: TLS to the database is required there."""
    for name, value in PRODUCTION.items():
        environment.setenv(name, value)
    url = load_settings().configured_database_url
    assert url == "postgresql://u:p%40ss%2Fword@db.example.org/d?sslmode=require"


def test_a_role_takes_the_place_of_the_buckets_keys(environment: pytest.MonkeyPatch):
    """OPS-1."""
    for name, value in PRODUCTION.items():
        if not name.startswith("S3_ACCESS"):
            environment.setenv(name, value)
    environment.setenv("S3_USE_ROLE", "true")
    assert load_settings().s3_use_role


def test_the_existing_platforms_names_of_credentials_are_taken_in_their_order(environment: pytest.MonkeyPatch):
    """OPS-1."""
    for name in ("AWS_ACCESS_KEY_ID", "S3_ACCESS_CREDENTIALS_USER", "BEIWE_SERVER_AWS_ACCESS_KEY_ID"):
        environment.setenv(name, name)
        assert load_settings().s3_access_key.get_secret_value() == name


def test_a_wrong_value_is_named_without_being_shown(environment: pytest.MonkeyPatch):
    """OPS-2."""
    environment.setenv("PORT", "secret-looking-text")
    environment.setenv("FILE_PROCESS_PAGE_SIZE", "0")
    with pytest.raises(ConfigurationError) as error:
        load_settings()
    assert "PORT" in str(error.value)
    assert "FILE_PROCESS_PAGE_SIZE" in str(error.value)
    assert "secret-looking-text" not in str(error.value)


DATABASE_URLS = (
    "postgresql+psycopg://u:hunter2@h/d",
    "postgresql+asyncpg://u:hunter2@h/d",
    "mysql://u:hunter2@h/d",
    "postgresql://u:hunt%er2@h/d",
    "postgresql://u:hunt/er2@h/d",
    "postgresql://u:1234/er2@h/d",
    "hunter2",
    "postgresql://u:hunt@er2@h/d",
    "host=h password=hunter2",
    "postgresql://u:x@h/d?hunter2=1",
)


def _is_refused_well(said: str) -> bool:
    is_told = "DATABASE_URL" in said and "postgresql://user:password@host" in said
    return is_told and not any(part in said for part in ("hunter2", "hunt", "er2", "psycopg", "mysql"))


@pytest.mark.parametrize("url", DATABASE_URLS)
def test_a_database_address_of_another_form_is_refused_without_being_shown(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """OPS-2."""
    for name, value in {"DATABASE_URL": url, "VAR_DIR": str(tmp_path), "BEIWE_ENV": "development"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as refused:
        load_settings()
    assert _is_refused_well(str(refused.value))


@pytest.mark.parametrize(
    "program",
    [
        "-m flask --app webapp admin list",
        "-m gunicorn --config ops/gunicorn.conf.py webapp:create_app()",
        "-m ops.worker",
        "-m ops.run",
        "-m ops.prefect_server",
    ],
)
def test_every_program_refuses_a_wrong_database_address_in_one_line(program: str, tmp_path: Path):
    """OPS-2: commands, the web server, the worker and `make run`."""
    own = {"DATABASE_URL": DATABASE_URLS[0], "VAR_DIR": str(tmp_path), "BEIWE_ENV": "development"}
    command = [sys.executable, *program.split()]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=os.environ | own, capture_output=True, text=True, timeout=60, check=False
    )
    said = done.stderr + done.stdout
    assert (done.returncode, said.count("\n")) == (1, 1), said
    assert _is_refused_well(said)


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("postgresql+psycopg2://u:p%2Fw@h/d", "postgresql://u:p%2Fw@h/d?sslmode=require"),
        ("postgres://u:a?b[#@h:5433/d", "postgres://u:a?b[#@h:5433/d?sslmode=require"),
        ("postgresql://u:p@h/d?connect_timeout=3", "postgresql://u:p@h/d?connect_timeout=3&sslmode=require"),
        ("postgresql://u:p@h/d?sslmode=verify-full", "postgresql://u:p@h/d?sslmode=verify-full"),
        ("postgresql://u:p@localhost/d", "postgresql://u:p@localhost/d"),
        ("postgresql://u@/d?host=%2Fa%40b%20%25", "postgresql://u@/d?host=%2Fa%40b%20%25"),
    ],
)
def test_database_addresses_that_libpq_reads_are_taken(environment: pytest.MonkeyPatch, url: str, wanted: str):
    """OPS-1, OPS-2: TLS unless the host is local."""
    environment.setenv("DATABASE_URL", url)
    assert load_settings().configured_database_url == wanted


def test_local_addresses_never_go_through_a_proxy(environment: pytest.MonkeyPatch):
    """OPS-1: what a proxy is not for already stays so."""
    for given, wanted in (("", set()), ("example.org, 10.0.0.1", {"example.org", "10.0.0.1"})):
        environment.setenv("NO_PROXY", given)
        environment.delenv("no_proxy", raising=False)
        spare_local_addresses_a_proxy()
        assert set(os.environ["no_proxy"].split(",")) == wanted | {"localhost", "127.0.0.1", "::1"}
        assert os.environ["NO_PROXY"] == os.environ["no_proxy"]
        environment.delenv("no_proxy")


def test_without_configuration_a_secret_is_made_once_and_kept(environment: pytest.MonkeyPatch, tmp_path: Path):
    """OPS-1 FLASK_SECRET_KEY."""
    secret = load_settings().secret_key
    assert len(secret) >= 40
    assert load_settings().secret_key == secret
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600


def test_every_setting_is_documented():
    """OPS-1: docs/settings.md holds every variable, and no other."""
    rows = (REPOSITORY / "docs" / "settings.md").read_text().splitlines()
    documented = {name for row in rows if row.startswith("| `") for name in row.split("|")[1].replace("`", "").split()}
    assert documented - {"/", "or"} == set(variables())


def test_secrets_in_the_database_open_only_where_they_belong():
    """MODEL-65."""
    sealed = seal_secret("key", server_secret="server", purpose="studies.encryption_key")
    assert sealed.startswith("v1.")
    assert "key" not in sealed
    assert open_secret(sealed, server_secret="server", purpose="studies.encryption_key") == "key"
    for server, purpose in (("other", "studies.encryption_key"), ("server", "researchers.mfa")):
        with pytest.raises(SecretUnreadable):
            open_secret(sealed, server_secret=server, purpose=purpose)
    with pytest.raises(SecretUnreadable, match="unknown version"):
        open_secret("v9.AAAA", server_secret="server", purpose="studies.encryption_key")


@pytest.mark.parametrize("url", ["https://apns.example.org", "https://gate.example.org:8443", "http://127.0.0.1:9000"])
def test_the_gateway_to_apple_is_spoken_to_in_clear_on_this_machine_only(environment: pytest.MonkeyPatch, url: str):
    """NOTIF-34: APNS_URL."""
    environment.setenv("APNS_URL", url)
    assert load_settings().apns_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://apns.example.org",
        "apns.example.org",
        "https://",
        "https://a/3/device",
        "http://10.0.0.5:80",
        "https://h:x",
    ],
)
def test_another_address_of_the_gateway_to_apple_is_refused(environment: pytest.MonkeyPatch, url: str):
    """NOTIF-34, OPS-2: the message names the variable."""
    environment.setenv("APNS_URL", url)
    with pytest.raises(ConfigurationError, match="APNS_URL"):
        load_settings()
