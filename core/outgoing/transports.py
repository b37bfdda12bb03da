"""Sending one message by mail, as a webhook, or to Prefect's server. Each try has a time limit (`time_limits`)."""

import base64
import hashlib
import hmac
import json
import smtplib
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3

from core.config import Settings
from core.outgoing.addresses import AddressRefused, pool_for
from core.outgoing.time_limits import LimitedSMTP, LimitedSMTPS, limited_pools

SECONDS = 10.0
"""How long each wait for the other side may take."""
GONE = 410
KEY_PREFIX = "whsec_"
PERMANENT = range(500, 600)  # of SMTP: the server will say the same next time


class NotDelivered(Exception):
    """A try failed; the message says why, without the address. `is_final`: another try would end the same."""

    def __init__(self, why: str, *, is_final: bool = False) -> None:
        super().__init__(why)
        self.is_final = is_final


@dataclass(frozen=True)
class Letter:
    """What is sent: the message's row, read. Each of the keys signs it."""

    uuid: str
    channel: str
    address: str
    signing_keys: tuple[str, ...]
    contents: Mapping[str, Any]


def send_mail(settings: Settings, letter: Letter) -> None:
    """Hands the mail to the site's mail server. Raises NotDelivered.

    The connection is encrypted, but for a mail server on the same machine.
    """
    if settings.mail_url is None:
        raise NotDelivered("This server has no mail server (MAIL_URL).")
    mail = EmailMessage(policy=SMTP)
    mail["From"] = settings.mail_sender
    mail["To"] = letter.address
    mail["Subject"] = " ".join(str(letter.contents["subject"]).split())
    mail["Message-ID"] = f"<{letter.uuid}@{settings.domain_name}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(str(letter.contents["text"]))
    try:
        server = _connected(settings.mail_url.get_secret_value())
        try:
            server.send_message(mail)
            with suppress(OSError, smtplib.SMTPException):  # the mail is taken, however the server ends the connection
                server.quit()
        finally:
            server.close()
    except smtplib.SMTPRecipientsRefused as refused:
        code = max((code for code, _ in refused.recipients.values()), default=0)
        raise NotDelivered(f"The mail server refuses the recipient ({code}).", is_final=code in PERMANENT) from None
    except smtplib.SMTPResponseException as refused:
        raise NotDelivered(f"The mail server refuses ({refused.smtp_code}).") from None
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise NotDelivered(f"The mail server cannot be reached ({type(error).__name__}).") from None


def send_webhook(settings: Settings, letter: Letter, now: datetime) -> None:
    """Posts the object; any answer from 200 to 299 takes it. Raises NotDelivered.

    Signed as Standard Webhooks 1.0 defines it: HMAC-SHA256 over id, time and body, in the header `webhook-signature`.
    """
    body = json.dumps(letter.contents, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "beiwe-server", **signed(letter, body, now)}
    operators = settings.alert_url
    if operators is not None and operators.get_secret_value() == letter.address:  # it may lead into a private network
        with limited_pools(SECONDS) as anywhere:
            status = _posted(anywhere, letter.address, body, headers)
    else:
        try:
            pool, target, host = pool_for(
                letter.address, is_strict=settings.is_production, allows_private=settings.webhooks_to_private_addresses
            )
        except AddressRefused as refused:
            raise NotDelivered(str(refused)) from None
        with pool:
            status = _posted(pool, target, body, {**headers, "Host": host})
    if not 200 <= status < 300:  # a redirect could lead anywhere
        raise NotDelivered(f"The address answered {status}.", is_final=status == GONE)


def signed(letter: Letter, body: bytes, now: datetime) -> dict[str, str]:
    """The headers that tell the message's id and, with a key, prove where it comes from."""
    at = str(int(now.timestamp()))
    headers = {"webhook-id": letter.uuid, "webhook-timestamp": at}
    if not letter.signing_keys:
        return headers
    signed_text = f"{letter.uuid}.{at}.".encode() + body
    marks = [hmac.new(_key_bytes(key), signed_text, hashlib.sha256).digest() for key in letter.signing_keys]
    return {**headers, "webhook-signature": " ".join(f"v1,{base64.b64encode(mark).decode()}" for mark in marks)}


def _key_bytes(key: str) -> bytes:
    """The bytes of a key: base64 after Standard Webhooks' prefix; keys of alerts' rules are their own text."""
    return base64.b64decode(key.removeprefix(KEY_PREFIX)) if key.startswith(KEY_PREFIX) else key.encode()


def send_prefect_event(settings: Settings, letter: Letter) -> None:
    """Tells Prefect's server of an event. Raises NotDelivered."""
    address = settings.prefect_api_url or f"http://127.0.0.1:{settings.prefect_port}/api"
    headers = {"Content-Type": "application/json"}
    if settings.prefect_api_url is None or settings.prefect_api_auth_string:
        headers |= urllib3.make_headers(basic_auth=settings.prefect_auth_string)
    with limited_pools(SECONDS) as pool:
        status = _posted(pool, f"{address.rstrip('/')}/events", json.dumps([letter.contents]).encode(), headers)
    if not 200 <= status < 300:
        raise NotDelivered(f"Prefect's server answered {status}.")


def _connected(url: str) -> smtplib.SMTP:
    parts = urlsplit(url)
    host, is_local = parts.hostname or "", parts.hostname in ("localhost", "127.0.0.1", "::1")
    context = ssl.create_default_context()
    if parts.scheme == "smtps":
        server: smtplib.SMTP = LimitedSMTPS(host, parts.port or 465, timeout=SECONDS, context=context)
    else:
        server = LimitedSMTP(host, parts.port or (25 if is_local else 587), timeout=SECONDS)
    try:
        if parts.scheme == "smtp" and not is_local:
            server.starttls(context=context)
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
    except BaseException:
        server.close()
        raise
    return server


def _posted(
    pool: urllib3.PoolManager | urllib3.HTTPConnectionPool, target: str, body: bytes, headers: Mapping[str, str]
) -> int:
    """The status of the answer; its body is not read."""
    try:
        answer = pool.request(
            "POST", target, body=body, headers=headers, redirect=False, retries=False, preload_content=False
        )
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise NotDelivered(f"The address cannot be reached ({type(error).__name__}).") from None
    answer.close()
    return int(answer.status)
