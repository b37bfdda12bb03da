"""A simulated phone: registers, keeps settings and surveys, collects files and uploads them until they are taken."""

import base64
import hashlib
import json
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ops.phones import bodies, identity, surveys
from ops.phones.data import SWITCHES, Recipe, file_name, plaintext, records
from ops.phones.encryption import PublicKey, encrypt_recording, encrypt_text, read_public_key
from ops.phones.ledger import Acknowledged, Ledger
from ops.phones.outbox import Outbox, Pending
from ops.phones.platforms import Platform
from ops.phones.settings import missing_for_android
from ops.phones.transport import Answer, Transport


class NotRegistered(RuntimeError):
    """A phone without a public key cannot write files."""


class Phone:
    """One participant's phone.

    `password` is the plain one, temporary until `register`. Files wait in `outbox` (memory, or `outbox_folder`) until
    an answer that the app takes as success; `ledger` then has them. `problems` collects answers that an app would
    have refused or crashed on. Methods that talk to the server return its `Answer` and never raise for it.
    """

    def __init__(
        self,
        patient_id: str,
        password: str,
        platform: Platform,
        transport: Transport,
        *,
        seed: int | str = 0,
        zone: str = "America/New_York",
        outbox_folder: Path | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        self.patient_id = patient_id
        self.password = password
        self.platform = platform
        self.transport = transport
        self.zone = zone
        self.seed = f"{seed}|{patient_id}"
        self.device = identity.make_device(platform, self.seed)
        self.outbox = Outbox(outbox_folder)
        self.ledger = ledger or Ledger()
        self.public_key: PublicKey | None = None
        self.settings: dict[str, Any] = {}
        self.surveys: list[dict[str, Any]] = []
        self.notification_uuids: list[str] = []
        self.problems: list[str] = []
        self.lock = threading.Lock()
        self._used_times: set[tuple[str, int]] = set()
        self._seen: dict[str, set[str]] = {}

    @property
    def is_registered(self) -> bool:
        """Whether the app got past its registration page."""
        return self.public_key is not None

    # --- the server's smaller endpoints

    def register(self, new_password: str | None = None) -> Answer:
        """Registers with the current password and changes it to `new_password` (by default the same again).

        The phone is registered afterwards only if the app would accept the answer (PHONE-37).
        """
        new_password = new_password or self.password
        fields = [*self._tracking(), *identity.registration_fields(self.device, new_password)]
        answer = self._post_form("register_user", fields)
        if not self.platform.is_success(answer.status):
            return answer
        content = self._json(answer, dict)
        if content is None:
            return answer
        settings = content.get("device_settings")
        try:
            key = content["client_public_key"]
            if self.platform is Platform.ANDROID and not key.startswith("MIIBI"):
                raise ValueError("client_public_key does not start with MIIBI")
            public_key = read_public_key(key)
            if self.platform is Platform.ANDROID and (missing := missing_for_android(settings)):
                raise ValueError(f"device_settings lack {', '.join(missing)}")
        except (KeyError, AttributeError, ValueError) as error:
            self.problems.append(f"register_user: {error}")
            return answer
        self.public_key, self.settings = public_key, settings or {}
        if self.platform is Platform.ANDROID and not self.settings.get("use_anonymized_hashing", False):
            # PHONE-38: a second call, still with the first password, whose outcome the app ignores.
            self._post_form("register_user", fields)
        self.password = new_password
        return answer

    def update_settings(self) -> Answer:
        """Fetches the device settings; anything but success and an object changes nothing."""
        answer = self._post_form("get_latest_device_settings", self._tracking())
        if self.platform.is_success(answer.status) and (settings := self._json(answer, dict)) is not None:
            if self.platform is Platform.ANDROID and (missing := missing_for_android(settings)):
                self.problems.append(f"get_latest_device_settings: lacks {', '.join(missing)}")
            self.settings = settings
        return answer

    def download_surveys(self) -> Answer:
        """Fetches the surveys; those absent from a successful answer are gone from the phone (PHONE-45)."""
        answer = self._post_form("download_surveys", self._tracking())
        if self.platform.is_success(answer.status) and (downloaded := self._json(answer, list)) is not None:
            found = surveys.complaints(downloaded)
            self.problems += [f"download_surveys: {text}" for text in found]
            if not found:
                self.surveys = downloaded
        return answer

    def set_password(self, new_password: str) -> Answer:
        """Changes the password. The phone keeps the new one when the app would: iOS also on 401 and 403 (PHONE-58)."""
        answer = self._post_form("set_password", [*self._tracking(), ("new_password", new_password)])
        refused = self.platform is Platform.IOS and answer.status in (401, 403)
        if self.platform.is_success(answer.status) or refused:
            self.password = new_password
        return answer

    def heartbeat(self) -> Answer:
        """Sends a heartbeat (PHONE-59)."""
        fields = list(self._tracking())
        if self.platform is Platform.IOS:
            fields.append(("message", "timer: upload, settings, surveys"))
        return self._post_form("mobile-heartbeat", fields)

    def set_push_token(self) -> Answer:
        """Sends the phone's push token, which never changes (PHONE-60)."""
        token = identity.device_hash(f"push {self.patient_id} {self.seed}")
        return self._post_form("set_fcm_token", [*self._tracking(), ("fcm_token", token)])

    # --- files

    def writes(self, alias: str) -> bool:
        """Whether the settings switch this stream on; False without settings."""
        return alias not in SWITCHES or bool(self.settings.get(SWITCHES[alias], False))

    def collect(
        self, alias: str, start_ms: int, end_ms: int, period_ms: int = 60_000, burst_rows: int = 10, row_ms: int = 100
    ) -> Pending:
        """Writes one sensor file for a stretch of time into the outbox; the numbers are those of `Recipe`."""
        start_ms = self._fresh_time(alias, start_ms)
        recipe = Recipe(self.seed, self.platform, self.zone, alias, start_ms, end_ms, period_ms, burst_rows, row_ms)
        lines = records(recipe)
        return self._keep(file_name(self.patient_id, alias, start_ms), plaintext(lines), lines, recipe)

    def answer_surveys(self, at_ms: int | None = None) -> list[Pending]:
        """Answers every survey at a Unix time in milliseconds (now by default); their files go into the outbox."""
        at_ms = at_ms or time.time_ns() // 1_000_000
        written = []
        for survey in self.surveys:
            survey_id = survey["_id"]
            if survey["survey_type"] == "audio_survey":
                extension, sound = surveys.recording(survey, self.seed, at_ms)
                # Android counts recordings in seconds (PHONE-71).
                stamp = at_ms // 1000 if self.platform is Platform.ANDROID else at_ms
                stamp = self._fresh_time(f"voiceRecording{survey_id}", stamp)
                name = file_name(self.patient_id, "voiceRecording", stamp, survey_id, extension)
                written.append(self._keep(name, sound, None, None))
            elif survey["content"]:
                stamp = self._fresh_time(f"survey{survey_id}", at_ms)
                seen = self._seen.setdefault(survey_id, set())
                filled = surveys.fill_in(survey, self.platform, self.seed, stamp, seen=seen)
                if not isinstance(filled, surveys.Filled):
                    self.problems.append(f"{survey_id}: question {filled.place + 1}: {filled.reason}")
                    continue
                seen.update(filled.shown)
                if seen >= {question["question_id"] for question in survey["content"]}:
                    seen.clear()
                for alias, lines in (("surveyTimings", filled.timings), ("surveyAnswers", filled.answers)):
                    name = file_name(self.patient_id, alias, stamp, survey_id)
                    written.append(self._keep(name, plaintext(lines), lines, None))
        return written

    def upload_round(self, stop: threading.Event | None = None) -> list[Answer]:
        """Sends each waiting file once, ordered by name; files that are not acknowledged stay for the next round.

        Android sends one after the other, iOS eleven at once. Returns the answers in the order of the files; after
        `stop` is set no further file is begun.
        """

        def one(pending: Pending) -> Answer | None:
            return None if stop and stop.is_set() else self._upload(pending)

        waiting = self.outbox.waiting()
        if len(waiting) < 2 or self.platform.uploads_in_flight == 1:
            answers = [one(pending) for pending in waiting]
        else:
            with ThreadPoolExecutor(min(self.platform.uploads_in_flight, len(waiting))) as pool:
                answers = list(pool.map(one, waiting))
        return [answer for answer in answers if answer is not None]

    def upload_body(self, name: str, encrypted: bytes) -> tuple[bytes, str]:
        """Body and Content-Type of the request that uploads a file now."""
        fields = list(self._tracking())
        if self.platform is Platform.ANDROID:
            return bodies.android_upload([*fields, ("file_name", name)], encrypted), bodies.ANDROID_CONTENT_TYPE
        boundary = f"alamofire.boundary.{random.getrandbits(64):016x}"
        return (
            bodies.ios_upload([*fields, ("file_name", name)], name, encrypted, boundary),
            bodies.multipart_content_type(boundary),
        )

    def settle(self, pending: Pending, answer: Answer) -> bool:
        """Deletes a file if the app would on this answer, after writing it to the ledger. Returns whether it did."""
        pending.attempts += 1
        if not self.platform.is_success(answer.status):
            return False
        content = None if pending.content is None else base64.b64encode(pending.content).decode()
        self.ledger.add(
            Acknowledged(
                patient_id=self.patient_id,
                platform=self.platform.value,
                file_name=pending.file_name,
                status=answer.status or 0,
                answer=answer.body[:200].decode("utf-8", "replace"),
                latency_ms=round(answer.latency_ms, 3),
                attempts=pending.attempts,
                acknowledged_at_ms=time.time_ns() // 1_000_000,
                plaintext_sha1=pending.plaintext_sha1,
                plaintext_bytes=pending.plaintext_bytes,
                encrypted_bytes=pending.encrypted_bytes,
                recipe=pending.recipe,
                content_base64=content,
            )
        )
        self.outbox.delete(pending.file_name)
        return True

    # --- inside

    def _upload(self, pending: Pending) -> Answer:
        body, content_type = self.upload_body(pending.file_name, self.outbox.read(pending.file_name))
        answer = self.transport.post(self.platform, "upload", body, content_type)
        self.settle(pending, answer)
        return answer

    def _keep(self, name: str, plain: bytes, lines: list[str] | None, recipe: Recipe | None) -> Pending:
        """Encrypts a text file (`lines`) or a recording (no lines) and puts it into the outbox."""
        if self.public_key is None:
            raise NotRegistered(self.patient_id)
        if lines is None:
            encrypted = encrypt_recording(plain, self.public_key, self.platform)
        else:
            encrypted = encrypt_text(lines, self.public_key, self.platform)
        digest = hashlib.sha1(plain).hexdigest()
        pending = Pending(name, digest, len(plain), len(encrypted), recipe, None if recipe else plain)
        self.outbox.add(pending, encrypted)
        return pending

    def _fresh_time(self, stream: str, wanted: int) -> int:
        """The wanted time for a file's name, or the next one that no file of the stream had yet."""
        while (stream, wanted) in self._used_times:
            wanted += 1
        self._used_times.add((stream, wanted))
        return wanted

    def _tracking(self) -> bodies.Fields:
        report = identity.status_report(self.device, datetime.now(UTC), self.zone, len(self.outbox))
        fields = identity.tracking_fields(self.device, self.patient_id, self.password, self.zone, report)
        if self.platform is Platform.IOS and self.is_registered:
            ids = [survey["_id"] for survey in self.surveys]
            fields = [*fields, *identity.notification_fields(self.notification_uuids, ids)]
        return fields

    def _post_form(self, endpoint: str, fields: bodies.Fields) -> Answer:
        if self.platform is Platform.ANDROID:
            body, content_type = bodies.android_form(fields), bodies.ANDROID_CONTENT_TYPE
        else:
            body, content_type = bodies.ios_form(fields), bodies.IOS_CONTENT_TYPE
        return self.transport.post(self.platform, endpoint, body, content_type)

    def _json(self, answer: Answer, kind: type) -> Any:
        """The answer's JSON as the app decodes it (PHONE-11); None, and a problem, if it is not of the given kind."""
        charset = "utf-8"
        if self.platform is Platform.IOS and "charset=utf-8" not in answer.content_type.lower():
            charset = "iso-8859-1"
        try:
            content = json.loads(answer.body.decode(charset))
        except ValueError as error:
            self.problems.append(f"{answer.endpoint}: not JSON ({error})")
            return None
        if charset == "iso-8859-1" and not answer.body.isascii():
            self.problems.append(f"{answer.endpoint}: text outside ASCII without a charset")
        if not isinstance(content, kind):
            self.problems.append(f"{answer.endpoint}: not a JSON {kind.__name__}")
            return None
        return content
