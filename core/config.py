"""Every setting, read once from the environment (OPS-1, OPS-2). Nothing else in the project reads os.environ."""

import os
import re
import secrets
from contextlib import suppress
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.private_files import make_private_folder

LOCAL_HOSTS = (None, "localhost", "127.0.0.1", "::1")  # None: a Unix socket
DATABASE_FORM = (
    "must be of the form postgresql://user:password@host:5432/name, "
    "with each character of user and password beside letters and digits written as %XX"
)
MAIL_ADDRESS = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+")
NOT_BY_PROXY = ("localhost", "127.0.0.1", "::1")
REPOSITORY = Path(__file__).resolve().parent.parent


class ConfigurationError(Exception):
    """The environment cannot be used; the message names every variable that is missing or wrong, never a value."""


class Settings(BaseSettings):
    """One attribute per environment variable; see `docs/settings.md`, which a test compares with this class."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, frozen=True)

    environment: Literal["development", "production"] = Field("development", validation_alias="BEIWE_ENV")
    flask_secret_key: SecretStr | None = Field(None, validation_alias="FLASK_SECRET_KEY")
    domain_name: str = Field("localhost", validation_alias="DOMAIN_NAME")
    trusted_proxy_hops: int | None = Field(None, validation_alias="TRUSTED_PROXY_HOPS", ge=0, le=10)
    sysadmin_emails: str = Field("", validation_alias="SYSADMIN_EMAILS")

    database_url: SecretStr | None = Field(None, validation_alias="DATABASE_URL")
    rds_db_name: str | None = Field(None, validation_alias="RDS_DB_NAME")
    rds_username: str | None = Field(None, validation_alias="RDS_USERNAME")
    rds_password: SecretStr | None = Field(None, validation_alias="RDS_PASSWORD")
    rds_hostname: str | None = Field(None, validation_alias="RDS_HOSTNAME")

    s3_bucket: str | None = Field(None, validation_alias="S3_BUCKET")
    s3_endpoint: str | None = Field(None, validation_alias="S3_ENDPOINT")
    s3_region_name: str = Field("us-east-1", validation_alias="S3_REGION_NAME", pattern=r"^[A-Za-z0-9-]*$")
    s3_use_role: bool = Field(False, validation_alias="S3_USE_ROLE")
    s3_access_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices(
            "BEIWE_SERVER_AWS_ACCESS_KEY_ID", "S3_ACCESS_CREDENTIALS_USER", "AWS_ACCESS_KEY_ID"
        ),
    )
    s3_secret_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices(
            "BEIWE_SERVER_AWS_SECRET_ACCESS_KEY", "S3_ACCESS_CREDENTIALS_KEY", "AWS_SECRET_ACCESS_KEY"
        ),
    )
    seal: Literal["ours", "legacy"] = Field("ours", validation_alias="SEAL")
    data_compression_level: int = Field(2, validation_alias="DATA_COMPRESSION_LEVEL", ge=-100, le=22)

    file_process_page_size: int = Field(100, validation_alias="FILE_PROCESS_PAGE_SIZE", ge=1)
    process_batch_bytes: int = Field(16 << 20, validation_alias="PROCESS_BATCH_BYTES", ge=1)
    processing_runner: str = Field(
        "threads", validation_alias="PROCESSING_RUNNER", pattern=r"^(threads|processes|dask|(tcp|tls)://\S+)$"
    )
    processing_tasks: int = Field(2, validation_alias="PROCESSING_TASKS", ge=1)
    forest_tasks: int | None = Field(None, validation_alias="FOREST_TASKS", ge=1)
    forest_memory_mib: int = Field(8192, validation_alias="FOREST_MEMORY_MIB", ge=512)
    forest_timeout_minutes: int = Field(120, validation_alias="FOREST_TIMEOUT_MINUTES", ge=1)
    forest_window_days: int = Field(30, validation_alias="FOREST_WINDOW_DAYS", ge=1, le=90)
    measures_least_hours: float = Field(6.0, validation_alias="MEASURES_LEAST_HOURS", ge=0, le=24)
    alert_url: SecretStr | None = Field(None, validation_alias="ALERT_URL")
    mail_url: SecretStr | None = Field(None, validation_alias="MAIL_URL")
    mail_from: str | None = Field(None, validation_alias="MAIL_FROM")
    webhooks_to_private_addresses: bool = Field(False, validation_alias="WEBHOOKS_TO_PRIVATE_ADDRESSES")
    upload_max_bytes: int = Field(1 << 30, validation_alias="UPLOAD_MAX_BYTES", ge=1)

    var_dir: Path = Field(REPOSITORY / "var", validation_alias="VAR_DIR")
    port: int = Field(8080, validation_alias="PORT", ge=1, le=65535)
    prefect_port: int = Field(4200, validation_alias="PREFECT_PORT", ge=1, le=65535)
    prefect_api_url: str | None = Field(None, validation_alias="PREFECT_API_URL")
    prefect_api_auth_string: SecretStr | None = Field(None, validation_alias="PREFECT_API_AUTH_STRING")
    prefect_host: str = Field("127.0.0.1", validation_alias="PREFECT_HOST")
    prefect_allowed_hosts: str = Field("", validation_alias="PREFECT_ALLOWED_HOSTS")
    web_workers: int = Field(2, validation_alias="WEB_WORKERS", ge=1)
    web_threads: int = Field(8, validation_alias="WEB_THREADS", ge=1)
    session_idle_minutes: int = Field(30, validation_alias="SESSION_IDLE_MINUTES", ge=1)
    session_max_hours: int = Field(12, validation_alias="SESSION_MAX_HOURS", ge=1)

    require_site_admin_mfa: bool = Field(False, validation_alias="REQUIRE_SITE_ADMIN_MFA")
    inactivity_lockout_days: int = Field(730, validation_alias="INACTIVITY_LOCKOUT_DAYS", ge=1)

    push_attempt_count: int = Field(720, validation_alias="PUSH_NOTIFICATION_ATTEMPT_COUNT", ge=1)
    fcm_url: str = Field("https://fcm.googleapis.com", validation_alias="FCM_URL")
    apns_url: str | None = Field(None, validation_alias="APNS_URL")
    push_messages_kept_days: int = Field(90, validation_alias="PUSH_MESSAGES_KEPT_DAYS", ge=14)
    tableau_library_url: str = Field(
        "https://connectors.tableau.com/libs/tableauwdc-2.3.latest.js", validation_alias="TABLEAU_LIBRARY_URL"
    )
    data_api_requests_per_minute: int = Field(6_000, validation_alias="DATA_API_REQUESTS_PER_MINUTE", ge=1)
    outgoing_messages_kept_days: int = Field(365, validation_alias="OUTGOING_MESSAGES_KEPT_DAYS", ge=14)
    exports_kept_days: int = Field(7, validation_alias="EXPORTS_KEPT_DAYS", ge=1, le=90)
    downloadable_apk_url: str | None = Field(None, validation_alias="DOWNLOADABLE_APK_URL")
    privacy_policy_url: str | None = Field(None, validation_alias="PRIVACY_POLICY_URL")

    data_deletion_usertype: Literal["study_researcher", "study_admin", "site_admin"] = Field(
        "study_researcher", validation_alias="DATA_DELETION_USERTYPE"
    )

    metrics_token: SecretStr | None = Field(None, validation_alias="METRICS_TOKEN")
    metrics_networks: str = Field("", validation_alias="METRICS_NETWORKS")

    retention_heartbeats_months: int | None = Field(None, validation_alias="RETENTION_HEARTBEATS_MONTHS", ge=1)
    retention_status_reports_months: int | None = Field(None, validation_alias="RETENTION_STATUS_REPORTS_MONTHS", ge=1)
    retention_refused_uploads_months: int | None = Field(
        None, validation_alias="RETENTION_REFUSED_UPLOADS_MONTHS", ge=1
    )

    @field_validator("*", mode="before")
    @classmethod
    def _strip(cls, value: Any) -> Any:
        return value.strip() if isinstance(value, str) else value

    @field_validator("database_url")
    @classmethod
    def _database_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and value.get_secret_value():
            parts_of_database_url(_for_libpq(value.get_secret_value()))
        return value

    @field_validator("rds_hostname")
    @classmethod
    def _host(cls, value: str | None) -> str | None:
        if value and not re.fullmatch(r"[\w.-]+(:\d+)?|\[[0-9a-fA-F:.]+\](:\d+)?", value):
            raise ValueError("must be a host name or address")
        return value

    @field_validator("var_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @field_validator("tableau_library_url", "fcm_url", "downloadable_apk_url", "privacy_policy_url", "s3_endpoint")
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        if value and not value.startswith(("https://", "http://")):
            raise ValueError("must be an https:// or http:// address")
        return value

    @field_validator("apns_url")
    @classmethod
    def _apns_address(cls, value: str | None) -> str | None:
        if value:
            _check_apns_address(value)
        return value

    @field_validator("mail_url")
    @classmethod
    def _mail_server(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and value.get_secret_value():
            _check_mail_url(value.get_secret_value())
        return value

    @field_validator("mail_from", "sysadmin_emails")
    @classmethod
    def _mail_addresses(cls, value: str | None) -> str | None:
        if value and not all(MAIL_ADDRESS.fullmatch(each) for each in _listed(value)):
            raise ValueError("must be mail addresses such as name@example.org, separated by commas")
        return value

    @field_validator("metrics_networks")
    @classmethod
    def _networks(cls, value: str) -> str:
        try:
            _networks_in(value)
        except ValueError:
            raise ValueError("must be networks like 10.0.0.0/8, separated by commas") from None
        return value

    @property
    def networks_of_metrics(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks whose machines may read `/metrics` without a token."""
        return _networks_in(self.metrics_networks)

    @property
    def mail_sender(self) -> str:
        """The address that the server's mails come from."""
        return self.mail_from or f"beiwe@{self.domain_name}"

    @property
    def administrators(self) -> list[str]:
        """The mail addresses that are told of the site's troubles."""
        return list(dict.fromkeys(_listed(self.sysadmin_emails)))

    @property
    def prefect_allowed_host_names(self) -> list[str]:
        """Host names under which the Prefect server may be addressed; always includes this machine's own."""
        more = [name.strip() for name in self.prefect_allowed_hosts.split(",") if name.strip()]
        return list(dict.fromkeys(["127.0.0.1", "localhost", *more]))

    @property
    def prefect_auth_string(self) -> str:
        """Credentials `user:password` of Prefect's server and clients; unless set, generated once under VAR_DIR."""
        if self.prefect_api_auth_string:
            return self.prefect_api_auth_string.get_secret_value()
        return f"beiwe:{_generated_secret(self.var_dir / 'prefect_secret', 'PREFECT_API_AUTH_STRING')}"

    @property
    def web_counts_dir(self) -> Path:
        """The folder in which the web server's processes keep their counters for `/metrics`."""
        return self.var_dir / "web_counts"

    @property
    def is_production(self) -> bool:
        return self.environment == "production"

    @property
    def configured_database_url(self) -> str | None:
        """The database's address, or None where the embedded PostgreSQL is to be used."""
        if self.database_url:
            url = _for_libpq(self.database_url.get_secret_value())
            parts = parts_of_database_url(url)
            host = parts.get("host") or parts.get("hostaddr")
            if "sslmode" in parts or host in LOCAL_HOSTS or (host or "").startswith(("/", "@")):
                return url
            return f"{url}{'&' if '?' in url.rpartition('@')[2] else '?'}sslmode=require"
        if not (self.rds_hostname and self.rds_username and self.rds_password and self.rds_db_name):
            return None
        tls = "" if self.rds_hostname in LOCAL_HOSTS else "?sslmode=require"
        password = quote(self.rds_password.get_secret_value(), safe="")
        return (
            f"postgresql://{quote(self.rds_username, safe='')}:{password}@{self.rds_hostname}"
            f"/{quote(self.rds_db_name, safe='')}{tls}"
        )

    @property
    def secret_key(self) -> str:
        """The server's secret; without one in the environment, a random one made once and kept under VAR_DIR."""
        if self.flask_secret_key:
            return self.flask_secret_key.get_secret_value()
        return _generated_secret(self.var_dir / "secret_key", "FLASK_SECRET_KEY")

    def missing_in_production(self) -> list[str]:
        """Names of the variables that production needs and that are missing or empty."""
        missing = [] if self.flask_secret_key else ["FLASK_SECRET_KEY"]
        if self.domain_name == "localhost":
            missing.append("DOMAIN_NAME")
        if self.trusted_proxy_hops is None:
            missing.append("TRUSTED_PROXY_HOPS")
        if not self.s3_bucket:
            missing.append("S3_BUCKET")
        if not self.s3_use_role:
            if not self.s3_access_key:
                missing.append("S3_ACCESS_CREDENTIALS_USER")
            if not self.s3_secret_key:
                missing.append("S3_ACCESS_CREDENTIALS_KEY")
        if not self.database_url:
            rds = {
                "RDS_DB_NAME": self.rds_db_name,
                "RDS_USERNAME": self.rds_username,
                "RDS_PASSWORD": self.rds_password,
                "RDS_HOSTNAME": self.rds_hostname,
            }
            missing += [name for name, value in rds.items() if not value]
        return missing


def load_settings(**overrides: Any) -> Settings:
    """Reads the environment; raises ConfigurationError naming **all** variables that are missing or wrong.

    `overrides` are attribute values that win over the environment, for tests.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        wrong = [f"{e['loc'][0]}: {_without_value(e)}" for e in error.errors(include_input=False, include_url=False)]
        raise ConfigurationError("Settings that cannot be used: " + "; ".join(wrong)) from None
    settings = settings.model_copy(update=_defaults_of_blanks(settings) | overrides)
    if settings.is_production and (missing := settings.missing_in_production()):
        raise ConfigurationError("BEIWE_ENV=production needs these settings, missing or empty: " + ", ".join(missing))
    return settings


def parts_of_database_url(url: str) -> dict[str, str]:
    """The parts of a database address as libpq reads them. Raises ValueError, whose message quotes none of it."""
    import psycopg2  # not at the top, since commands over files alone do without it
    from psycopg2.extensions import parse_dsn

    try:
        parts: dict[str, str] = parse_dsn(url) if url.startswith(("postgresql://", "postgres://")) else {}
    except psycopg2.Error:
        parts = {}
    # An unescaped "/", "@" or ":" in the password would split the address in the wrong place.
    host = parts.get("host", "")
    is_shifted = "@" in parts.get("dbname", "") or ("@" in host and not host.startswith("/"))
    if not parts or is_shifted or not re.fullmatch(r"(\d+(,\d+)*)?", parts.get("port", "")):
        raise ValueError(DATABASE_FORM) from None
    return parts


def _for_libpq(url: str) -> str:
    """The address without SQLAlchemy's driver name, which is accepted too."""
    return url.replace("postgresql+psycopg2://", "postgresql://", 1)


def _without_value(error: ErrorDetails) -> str:
    """What is wrong with a setting, without quoting any part of its value."""
    if error["type"] == "value_error":  # our own
        return str(error["ctx"]["error"])
    return error["msg"][:1].lower() + error["msg"][1:]


@lru_cache
def get_settings() -> Settings:
    """The process's settings, read once. Also sets NO_PROXY, so that local addresses are reached without a proxy."""
    settings = load_settings()
    spare_local_addresses_a_proxy()
    return settings


def spare_local_addresses_a_proxy() -> None:
    """Adds this machine's addresses to NO_PROXY, for this process and those that it starts."""
    named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if named.strip() != "*":
        names = dict.fromkeys([*filter(None, (part.strip() for part in named.split(","))), *NOT_BY_PROXY])
        os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join(names)


def _defaults_of_blanks(settings: Settings) -> dict[str, Any]:
    """Attributes set to white space only, which counts as missing (OPS-2), with their defaults."""
    defaults = {}
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if (value.get_secret_value() if isinstance(value, SecretStr) else value) == "":
            defaults[name] = field.default
    return defaults


def _check_apns_address(text: str) -> None:
    """Raises ValueError unless it is an https address, or one in clear on this machine."""
    message = "must be https://host or https://host:port; http:// is allowed on this machine's own addresses only"
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018  raises ValueError
    except ValueError:
        raise ValueError(message) from None
    is_allowed = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOCAL_HOSTS)
    if not is_allowed or not parts.hostname or parts.path.strip("/") or parts.query or parts.username:
        raise ValueError(message)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"[,;\s]+", text) if part.strip()]


def _check_mail_url(url: str) -> None:
    """Raises ValueError, whose message quotes none of it."""
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("smtp", "smtps") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ValueError("must be of the form smtp://user:password@host:587, or smtps:// for TLS from the beginning")


def _networks_in(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def _generated_secret(path: Path, variable: str) -> str:
    """A random secret, generated once and kept in this file. Raises ConfigurationError if the file is unusable."""
    try:
        if not path.exists():
            _make_secret(path)
        secret = path.read_text()
    except OSError as error:
        raise ConfigurationError(
            f"VAR_DIR cannot be used: {error.strerror} ({error.filename}); set it to another folder"
        ) from None
    if not secret:
        raise ConfigurationError(f"{path} is empty; put it back from a backup, or set {variable}")
    return secret


def _make_secret(path: Path) -> None:
    make_private_folder(path.parent)
    draft = path.with_suffix(f".{secrets.token_hex(4)}")
    try:
        draft.touch(mode=0o600)
        with draft.open("w") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())  # if the secret is lost, the sealed values in the database are lost too
        with suppress(FileExistsError):  # two processes that start at once agree on the first one's secret
            path.hardlink_to(draft)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
