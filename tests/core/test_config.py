"""Settings (OPS-1, OPS-2) and the secrets derived from them (MODEL-65)."""

import stat
from pathlib import Path

import pytest

from core.config import REPOSITORY, ConfigurationError, Settings, load_settings
from core.crypto.secrets import SecretUnreadable, open_secret, seal_secret

PRODUCTION = {
    "BEIWE_ENV": "production", "FLASK_SECRET_KEY": "x" * 40, "DOMAIN_NAME": "beiwe.example.org", "S3_BUCKET": "b",
    "TRUSTED_PROXY_HOPS": "1",
    "S3_ACCESS_CREDENTIALS_USER": "u", "S3_ACCESS_CREDENTIALS_KEY": "k", "RDS_DB_NAME": "d", "RDS_USERNAME": "u",
    "RDS_PASSWORD": "p@ss/word", "RDS_HOSTNAME": "db.example.org",
}  # fmt: skip


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
