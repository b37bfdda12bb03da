"""The simulated phone speaks as the apps do, and lets go of a file only when an app would."""

import base64
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from core.surveys.rules.answering import Stop
from ops.phones import (
    FleetOptions,
    Ledger,
    Phone,
    Platform,
    Transport,
    bodies,
    identity,
    regenerate,
    run_fleet,
    run_load,
)
from ops.phones.__main__ import main, read_participants
from ops.phones.data import HEADERS, Recipe, plaintext, records
from ops.phones.encryption import encrypt_recording, encrypt_text, encrypted_bytes, read_public_key
from ops.phones.fleet import make_members
from ops.phones.history import Habit, collect_day
from ops.phones.ledger import read_ledger
from ops.phones.settings import ANDROID_REQUIRED
from ops.phones.surveys import Filled, complaints, fill_in
from tests.support.paths import DEVICE_FILES, REPOSITORY

CLIENT_PUBLIC_KEY = (DEVICE_FILES / "test_client_public_key.txt").read_text().strip()
BODIES = {case["id"]: case for case in json.loads((DEVICE_FILES / "manifest.json").read_text())["bodies"]}
SURVEY = {
    "_id": "Qm4vT8sZ1nB6xK2wR9cJ5hLp",
    "survey_type": "tracking_survey",
    "name": "Morning",
    "settings": {"always_available": True},
    "timings": [[], [28800], [], [], [], [], []],
    "content": [
        {"question_id": "q1", "question_type": "slider", "question_text": "Sleep, last night?", "min": "0", "max": "9"},
        {"question_id": "q2", "question_type": "radio_button", "question_text": "Nap?", "answers": [{"text": "a, b"}]},
        {
            "question_id": "q3",
            "question_type": "free_response",
            "question_text": "Why?",
            "text_field_type": "NUMERIC",
            "display_if": {"==": ["q2", 1]},
        },
    ],
}
AUDIO = {
    "_id": "aaaaaaaaaaaaaaaaaaaaaaaa",
    "survey_type": "audio_survey",
    "settings": {"always_available": True, "audio_survey_type": "compressed"},
    "timings": [[] for _ in range(7)],
    "content": [{"prompt": "Tell us"}],
}
SETTINGS = {name: kind() for name, kind in ANDROID_REQUIRED.items()} | {
    "use_anonymized_hashing": True,
    **dict.fromkeys(("accelerometer", "gps", "power_state", "calls", "texts", "wifi", "reachability"), True),
}
REGISTRATION = {"client_public_key": CLIENT_PUBLIC_KEY, "device_settings": SETTINGS, "study_name": "S", "study_id": "x"}


# --- the plain reading of a device file, PHONE-104 to PHONE-107, for well-formed files


@cache
def private_key() -> tuple[int, int]:
    """Modulus and private exponent of the test pair."""
    private = load_pem_private_key((DEVICE_FILES / "test_private_key.pem").read_bytes(), None)
    assert isinstance(private, RSAPrivateKey)
    return private.private_numbers().public_numbers.n, private.private_numbers().d


def decrypt(content: bytes) -> bytes:
    """Line by line, with raw RSA by pow()."""
    modulus, exponent = private_key()
    key_line, *lines = [line for line in content.split(b"\n") if line]
    message = pow(int.from_bytes(base64.urlsafe_b64decode(key_line), "big"), exponent, modulus)
    aes_key = base64.urlsafe_b64decode(message.to_bytes(256, "big").lstrip(b"\0"))
    assert len(aes_key) == 16
    plain = []
    for line in lines:
        iv, data = (base64.urlsafe_b64decode(part) for part in line.split(b":"))
        assert len(iv) == 16
        decryptor = Cipher(algorithms.AES(aes_key), modes.CBC(iv)).decryptor()
        record = decryptor.update(data) + decryptor.finalize()
        padding = record[-1]
        assert 1 <= padding <= 16
        assert record.endswith(bytes([padding]) * padding)
        plain.append(record[:-padding])
    return b"\n".join(plain)


# --- a server that answers by script


class ScriptedServer(ThreadingHTTPServer):
    """Answers uploads by script (200 when it has run out), and the other endpoints as a server would."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: deque[int] = deque()
        self.answers: dict[str, tuple[int, object]] = {
            "register_user": (200, REGISTRATION),
            "get_latest_device_settings": (200, SETTINGS),
            "download_surveys": (200, [SURVEY, AUDIO]),
            "mobile-heartbeat": (200, None),
            "set_fcm_token": (204, None),
            "set_password": (200, None),
        }
        self.requests: list[tuple[str, str, bytes]] = []
        self.ports: set[int] = set()
        self.lock = threading.Lock()
        self.has_upload = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def uploads(self) -> list[tuple[str, bytes]]:
        """File name and encrypted bytes of every upload request."""
        return [upload_of(content_type, body) for path, content_type, body in self.requests if "/upload" in path]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, ScriptedServer)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        endpoint = self.path.strip("/").split("/")[0]
        with server.lock:
            server.requests.append((self.path, self.headers["Content-Type"], body))
            server.ports.add(self.client_address[1])
            if endpoint == "upload":
                status, content = (server.script.popleft() if server.script else 200), None
                server.has_upload.set()
            else:
                status, content = server.answers[endpoint]
        text = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        if status in (302, 307):
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Type", "application/json; charset=utf-8")
        if status != 204:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


def upload_of(content_type: str, body: bytes) -> tuple[str, bytes]:
    if content_type.startswith("multipart"):
        boundary = content_type.partition("boundary=")[2].encode()
        parts = [part.partition(b"\r\n\r\n") for part in body.split(b"--" + boundary)]
        name = next(value for head, _, value in parts if b'name="file_name"' in head)
        content = next(value for head, _, value in parts if b'name="file";' in head)
        return name[:-2].decode(), content[:-2]
    head, _, content = body.partition(b"&file=")
    return dict(field.split("=", 1) for field in head.decode().split("&"))["file_name"], content


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    running = ScriptedServer()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def make_phone(server: ScriptedServer, platform: Platform, **more: object) -> Phone:
    phone = Phone("ab3kz9qw", "secret77", platform, Transport(server.address), **more)  # type: ignore[arg-type]
    phone.register()
    assert phone.is_registered
    return phone


# --- the device file


@pytest.mark.parametrize("platform", Platform)
def test_an_encrypted_text_file_decrypts_to_its_records(platform: Platform) -> None:
    """PHONE-95 to 99, also for records of every length around a block and with line feeds inside."""
    lines = ["timestamp,event", "", "x" * 15, "y" * 16, "z" * 17, "grüße, 🦉", "a\nb\n"]
    content = encrypt_text(lines, read_public_key(CLIENT_PUBLIC_KEY), platform)
    assert decrypt(content) == "\n".join(lines).encode()
    assert content.endswith(b"\n")
    assert content.index(b"\n") == 344
    assert content.count(b"\n") == 1 + len(lines)
    assert len(content) == encrypted_bytes(len(line.encode()) for line in lines)


def test_a_recording_is_one_line_that_ends_in_a_line_feed_on_android_only() -> None:
    """PHONE-100."""
    sound = b"\n:\0" * 100
    for platform, line_feeds in ((Platform.ANDROID, 2), (Platform.IOS, 1)):
        content = encrypt_recording(sound, read_public_key(CLIENT_PUBLIC_KEY), platform)
        assert content.count(b"\n") == line_feeds
        assert decrypt(content) == sound


def test_every_file_has_its_own_key() -> None:
    """PHONE-96."""
    key = read_public_key(CLIENT_PUBLIC_KEY)
    assert len({encrypt_text(["a"], key, Platform.IOS)[:344] for _ in range(5)}) == 5


# --- bodies


def vector(name: str) -> tuple[list[tuple[str, str]], bytes]:
    case = BODIES[name]
    return list(case["fields"].items()), (DEVICE_FILES / case["body_file"]).read_bytes()


@pytest.mark.parametrize("name", ["android_upload", "android_upload_empty_file"])
def test_an_android_upload_has_the_bytes_of_the_app(name: str) -> None:
    """PHONE-7."""
    fields, expected = vector(name)
    assert bodies.android_upload(fields, expected.partition(b"&file=")[2]) == expected


def test_an_android_value_goes_out_raw_whatever_it_holds() -> None:
    """PHONE-8."""
    _, expected = vector("android_upload_reserved_characters")
    head, _, content = expected.partition(b"&file=")
    before, _, rest = head.decode().partition("&device_status_report=")
    report, _, after = rest.partition("&timezone=")
    zone, _, name = after.partition("&file_name=")
    fields = [tuple(field.split("=", 1)) for field in before.split("&")]
    fields += [("device_status_report", report), ("timezone", zone), ("file_name", name)]
    assert bodies.android_upload(fields, content) == expected  # type: ignore[arg-type]


def test_an_android_registration_has_the_bytes_of_the_app() -> None:
    """PHONE-7, PHONE-31: the repeated fields and the trailing ampersand included."""
    fields, expected = vector("android_register")
    again = dict(fields)
    fields += [("device_id", again["device_id"]), ("os_version", again["os_version"])]
    assert bodies.android_form(fields) == expected


@pytest.mark.parametrize("name", ["ios_upload", "ios_upload_empty_file"])
def test_an_ios_upload_has_the_bytes_of_the_app(name: str) -> None:
    fields, expected = vector(name)
    boundary = BODIES[name]["content_type"].partition("boundary=")[2]
    content = expected.partition(b"Content-Type: text/csv\r\n\r\n")[2].rpartition(f"\r\n--{boundary}--".encode())[0]
    assert bodies.ios_upload(fields, dict(fields)["file_name"], content, boundary) == expected
    assert bodies.multipart_content_type(boundary) == BODIES[name]["content_type"]


def test_an_ios_form_has_the_bytes_of_the_app() -> None:
    fields, expected = vector("ios_register")
    assert bodies.ios_form(fields) == expected
    assert BODIES["ios_register"]["content_type"] == bodies.IOS_CONTENT_TYPE


@pytest.mark.parametrize("platform", Platform)
def test_a_phone_sends_the_fields_of_the_vectors_in_their_order(server: ScriptedServer, platform: Platform) -> None:
    """PHONE-31, PHONE-124."""
    phone = make_phone(server, platform)
    path, content_type, body = server.requests[0]
    sent = [name for name, _ in parse_qsl(body.decode(), keep_blank_values=True)]
    expected = vector(f"{platform}_register")[1].decode()
    assert sent == [name for name, _ in parse_qsl(expected, keep_blank_values=True)]
    assert content_type == BODIES[f"{platform}_register"]["content_type"]
    assert path == BODIES[f"{platform}_register"]["path"]

    phone.collect("gps", 1717236300000, 1717236360000)
    phone.upload_round()
    path, content_type, body = server.requests[-1]
    assert path == BODIES[f"{platform}_upload"]["path"]
    names = [name for name, _ in vector(f"{platform}_upload")[0]]
    if platform is Platform.ANDROID:
        assert [field.partition(b"=")[0].decode() for field in body.partition(b"&file=")[0].split(b"&")] == names
    else:
        heads = [part.partition(b'name="')[2].partition(b'"')[0].decode() for part in body.split(b"--alamofire")]
        assert heads[1:-1] == [*names, "file"]
        assert content_type.startswith("multipart/form-data; boundary=alamofire.boundary.")


def test_the_password_goes_out_hashed_and_the_new_one_plain(server: ScriptedServer) -> None:
    """PHONE-26, PHONE-27."""
    assert identity.device_hash("abc123") == "bKE9UspwyIPg8LsQHkJaiehiTeUdstI5JZOvaoQRgJA="
    phone = Phone("ab3kz9qw", "abc123", Platform.IOS, Transport(server.address))
    phone.register(new_password="a+b & ü")
    fields = dict(parse_qsl(server.requests[-1][2].decode()))
    assert fields["password"] == "bKE9UspwyIPg8LsQHkJaiehiTeUdstI5JZOvaoQRgJA="
    assert fields["new_password"] == "a+b & ü"
    phone.set_password("later1")
    assert dict(parse_qsl(server.requests[-1][2].decode()))["password"] == identity.device_hash("a+b & ü")
    assert phone.password == "later1"


def test_paths_are_those_of_each_app() -> None:
    """PHONE-2, PHONE-4: the path is put behind the address that the participant typed."""
    assert Platform.ANDROID.path("mobile-heartbeat") == "/mobile-heartbeat"
    assert Platform.ANDROID.path("upload") == "/upload"
    assert Platform.IOS.path("upload") == "/upload/ios/"
    assert Platform.IOS.path("mobile-heartbeat") == "/mobile-heartbeat/"
    assert Platform.IOS.path("set_fcm_token") == "/set_fcm_token"


# --- registration, settings, surveys


def test_android_refuses_a_registration_without_a_required_setting(server: ScriptedServer) -> None:
    """PHONE-37: the server thinks it registered, the app does not."""
    settings = {name: value for name, value in SETTINGS.items() if name != "gps"}
    server.answers["register_user"] = (200, REGISTRATION | {"device_settings": settings})
    android = Phone("a", "p", Platform.ANDROID, Transport(server.address))
    android.register()
    assert not android.is_registered
    assert android.problems == ["register_user: device_settings lack gps"]
    ios = Phone("a", "p", Platform.IOS, Transport(server.address))
    ios.register()
    assert ios.is_registered


def test_android_without_anonymized_hashing_registers_twice(server: ScriptedServer) -> None:
    """PHONE-38."""
    server.answers["register_user"] = (
        200,
        REGISTRATION | {"device_settings": SETTINGS | {"use_anonymized_hashing": False}},
    )
    make_phone(server, Platform.ANDROID)
    assert [path for path, _, _ in server.requests] == ["/register_user"] * 2


def test_surveys_that_would_crash_an_app_are_refused_and_named(server: ScriptedServer) -> None:
    """PHONE-55."""
    phone = make_phone(server, Platform.ANDROID)
    phone.download_surveys()
    assert [survey["_id"] for survey in phone.surveys] == [SURVEY["_id"], AUDIO["_id"]]
    server.answers["download_surveys"] = (200, [SURVEY | {"timings": [[]]}])
    phone.download_surveys()
    assert len(phone.surveys) == 2
    assert phone.problems == [f"download_surveys: {SURVEY['_id']}: timings are not seven arrays"]
    server.answers["download_surveys"] = (500, [])
    phone.download_surveys()
    assert len(phone.surveys) == 2
    server.answers["download_surveys"] = (200, [])
    phone.download_surveys()
    assert phone.surveys == []
    assert complaints({}) == ["the survey download is not an array"]


@pytest.mark.parametrize("platform", Platform)
def test_answers_and_timings_have_the_rows_of_the_app(platform: Platform) -> None:
    """PHONE-71, CLAR-56: headers; commas never end a field early; what was not shown is so named, or absent."""
    filled = fill_in(SURVEY, platform, "1", 1717236000000)
    assert isinstance(filled, Filled) and filled.shown == ["q1", "q2"]
    assert filled == fill_in(SURVEY, platform, "1", 1717236000000)
    hidden = ["q3"] if platform is Platform.IOS else []
    assert [row.split(",")[0] for row in filled.answers] == ["question id", "q1", "q2", *hidden]
    assert "q2,Radio Button Question,Nap?,[a; b],0" in filled.answers or platform is Platform.IOS
    assert filled.answers[-1].endswith("NOT_PRESENTED") == (platform is Platform.IOS)
    assert all(row.count(",") == 4 for row in filled.answers)
    event = ",event" if platform is Platform.IOS else ""
    assert (
        filled.timings[0] == f"timestamp,question id,question type,question text,question answer options,answer{event}"
    )
    stamps = [int(row.split(",")[0]) for row in filled.timings[1:]]
    assert stamps == sorted(stamps)
    assert ("submitted" if platform is Platform.IOS else "User hit submit") in filled.timings[-1]


def test_a_phone_goes_only_where_its_answers_lead() -> None:
    """PHONE-56: what was never shown makes a comparison true on iOS, and false on Android."""
    asked = {"question_type": "radio_button", "question_text": "?", "answers": [{"text": "a"}], "required": True}
    content = [
        asked | {"question_id": "1"},
        asked | {"question_id": "2", "display_if": {"==": ["1", 7]}},
        asked | {"question_id": "3", "display_if": {"==": ["2", 0]}},
    ]
    shown = {}
    for platform in Platform:
        filled = fill_in(SURVEY | {"content": content}, platform, "1", 1717236000000)
        assert isinstance(filled, Filled)
        shown[platform] = filled.shown
    assert shown == {Platform.ANDROID: ["1"], Platform.IOS: ["1", "3"]}


def test_an_iphone_writes_nothing_where_its_app_crashes() -> None:
    """PHONE-55."""
    content = [*SURVEY["content"][:2], SURVEY["content"][2] | {"display_if": {"!=": ["q2", 0]}}]
    stop = fill_in(SURVEY | {"content": content}, Platform.IOS, "1", 1717236000000)
    assert isinstance(stop, Stop) and stop.place == 2
    assert isinstance(fill_in(SURVEY | {"content": content}, Platform.ANDROID, "1", 1717236000000), Filled)


def test_questions_left_open_say_so() -> None:
    """CLAR-56."""
    content = [SURVEY["content"][0] | {"question_id": str(number)} for number in range(200)]
    for platform in Platform:
        filled = fill_in(SURVEY | {"content": content}, platform, "1", 1717236000000)
        assert isinstance(filled, Filled)
        open_ones = [row for row in filled.answers if row.endswith(",NO_ANSWER_SELECTED")]
        assert 0 < len(open_ones) < 40


@pytest.mark.parametrize("platform", Platform)
def test_answered_surveys_become_files(server: ScriptedServer, platform: Platform) -> None:
    phone = make_phone(server, platform)
    phone.download_surveys()
    names = [pending.file_name for pending in phone.answer_surveys(1717236000000)]
    seconds = "1717236000" if platform is Platform.ANDROID else "1717236000000"
    assert names == [
        f"ab3kz9qw_surveyTimings_{SURVEY['_id']}_1717236000000.csv",
        f"ab3kz9qw_surveyAnswers_{SURVEY['_id']}_1717236000000.csv",
        f"ab3kz9qw_voiceRecording_{AUDIO['_id']}_{seconds}.mp4",
    ]
    phone.upload_round()
    for entry in phone.ledger.entries:
        received = dict(server.uploads())[entry.file_name]
        assert decrypt(received) == regenerate(entry)


# --- data


@pytest.mark.parametrize("platform", Platform)
def test_sensor_rows_are_the_same_every_time_and_lie_in_their_window(platform: Platform) -> None:
    for alias, header in HEADERS[platform].items():
        recipe = Recipe("7|ab3kz9qw", platform, "America/New_York", alias, 1717236000000, 1717257600000, 600_000)
        lines = records(recipe)
        assert lines == records(recipe)
        assert lines[0] == header
        assert len(lines) > 1
        assert lines != records(replace(recipe, seed="8|ab3kz9qw"))
        if alias == "wifiLog":
            assert len(lines) == 2
            assert lines[1].endswith("\n")
            continue
        column = 2 if alias == "callLog" else 0
        times = [int(row.split(",")[column][:13]) for row in lines[1:]]
        assert times == sorted(times)
        assert all(recipe.start_ms <= time < recipe.end_ms for time in times)
        if alias != "logFile":
            assert {row.count(",") for row in lines[1:]} == {header.count(",")}


def test_people_sleep_at_home_and_move_by_day() -> None:
    day = int(datetime(2024, 6, 4, tzinfo=UTC).timestamp() * 1000)
    night = Recipe("1", Platform.IOS, "UTC", "gps", day + 2 * 3_600_000, day + 4 * 3_600_000, 600_000, 1)
    noon = replace(night, start_ms=day + 7 * 3_600_000, end_ms=day + 19 * 3_600_000)

    def spread(recipe: Recipe) -> float:
        latitudes = [float(row.split(",")[1]) for row in records(recipe)[1:]]
        return max(latitudes) - min(latitudes)

    assert spread(night) < 0.0005
    assert spread(noon) > 0.0015


# --- letting go of files


@pytest.mark.parametrize("platform", Platform)
def test_a_file_is_kept_until_the_right_status(server: ScriptedServer, platform: Platform) -> None:
    """PHONE-63: 5xx, 400, 403 and redirects keep the file; it is sent again byte for byte."""
    phone = make_phone(server, platform)
    pending = phone.collect("accel", 1717236000000, 1717236060000)
    server.script.extend([500, 400, 503, 403, 302, 307, 200])
    for status in (500, 400, 503, 403, 302, 307):
        assert [answer.status for answer in phone.upload_round()] == [status]
        assert pending.file_name in phone.outbox
        assert phone.ledger.entries == []
    phone.upload_round()
    assert len(phone.outbox) == 0
    assert len(set(server.uploads())) == 1
    assert len(server.uploads()) == 7
    (entry,) = phone.ledger.entries
    assert (entry.file_name, entry.status, entry.attempts) == (pending.file_name, 200, 7)
    plain = decrypt(server.uploads()[0][1])
    assert regenerate(entry) == plain
    assert entry.plaintext_sha1 == hashlib.sha1(plain).hexdigest()
    assert entry.plaintext_bytes == len(plain)
    assert entry.encrypted_bytes == len(server.uploads()[0][1])
    assert phone.upload_round() == []


def test_only_ios_takes_other_codes_of_success(server: ScriptedServer) -> None:
    for platform, left in ((Platform.ANDROID, 1), (Platform.IOS, 0)):
        phone = make_phone(server, platform)
        phone.collect("accel", 1717236000000, 1717236060000)
        server.script.append(201)
        phone.upload_round()
        assert len(phone.outbox) == left


def test_a_file_is_kept_when_nobody_answers(server: ScriptedServer) -> None:
    phone = make_phone(server, Platform.ANDROID)
    phone.collect("accel", 1717236000000, 1717236060000)
    phone.transport = Transport("http://127.0.0.1:9")
    (answer,) = phone.upload_round()
    assert answer.status is None
    assert answer.error
    assert len(phone.outbox) == 1
    phone.transport = Transport(server.address)
    phone.upload_round()
    assert len(phone.outbox) == 0


def test_files_can_wait_in_a_folder(server: ScriptedServer, tmp_path: Path) -> None:
    phone = make_phone(server, Platform.IOS, outbox_folder=tmp_path / "out")
    pending = phone.collect("gps", 1717236000000, 1717236060000)
    stored = tmp_path / "out" / pending.file_name
    server.script.append(500)
    phone.upload_round()
    assert stored.stat().st_size == pending.encrypted_bytes
    phone.upload_round()
    assert not stored.exists()


def test_two_files_of_one_moment_get_two_names(server: ScriptedServer) -> None:
    phone = make_phone(server, Platform.ANDROID)
    names = {phone.collect("gps", 1717236000000, 1717236060000).file_name for _ in range(3)}
    assert len(names) == 3


def test_a_stream_that_is_switched_off_is_not_written(server: ScriptedServer) -> None:
    phone = make_phone(server, Platform.ANDROID)
    assert phone.writes("accel")
    assert not phone.writes("gyro")
    assert phone.writes("logFile")


# --- fleets and load


def test_a_fleet_uploads_its_past_and_reports(server: ScriptedServer, tmp_path: Path) -> None:
    server.script.extend([500, 400])
    options = FleetOptions(
        server.address,
        [(f"phone{i}", "secret77") for i in range(1, 5)],
        backfill_days=1,
        files=6,
        threads=2,
        ledger_path=tmp_path / "ledger.jsonl",
        pause_seconds=0.0,
    )
    report = run_fleet(options, threading.Event())
    assert report["registered"] == 3
    assert report["files_waiting"] == 0
    assert report["problems"] == []
    assert report["habits"]["phone4"] == "ios, never registers"
    statuses = report["endpoints"]["upload"]["statuses"]
    assert statuses["500"] == statuses["400"] == 1
    entries = read_ledger(tmp_path / "ledger.jsonl")
    assert report["acknowledged_files"] == len(entries) == statuses["200"]
    assert report["acknowledged_bytes"] == sum(entry.encrypted_bytes for entry in entries)
    latency = report["endpoints"]["upload"]["latency_ms"]
    assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"] <= latency["max"]
    received = dict(server.uploads())
    assert received.keys() == {entry.file_name for entry in entries}
    for entry in entries:
        assert hashlib.sha1(regenerate(entry)).hexdigest() == entry.plaintext_sha1
        assert decrypt(received[entry.file_name]) == regenerate(entry)


def test_phones_differ_in_what_they_report(server: ScriptedServer) -> None:
    now = datetime(2024, 6, 10, 16, tzinfo=UTC)
    midnight = datetime(2024, 6, 9, 4, tzinfo=UTC)
    phone = make_phone(server, Platform.ANDROID)
    assert collect_day(phone, Habit.STOPPED, midnight, now) == 0
    assert collect_day(phone, Habit.STOPPED, midnight - timedelta(days=5), now) > 0
    assert collect_day(phone, Habit.STEADY, midnight, now) > 0


def test_a_stopped_fleet_still_reports(server: ScriptedServer) -> None:
    stop = threading.Event()
    stop.set()
    report = run_fleet(FleetOptions(server.address, [("a", "p")], seconds=float("inf")), stop)
    assert report["acknowledged_files"] == 0
    assert report["registered"] == 1


def test_load_is_prepared_first_and_sent_over_kept_connections(server: ScriptedServer) -> None:
    phones = [Phone(f"p{i}", "secret77", Platform.ANDROID, Transport(server.address)) for i in range(2)]
    for phone in phones:
        phone.register()
    server.ports.clear()
    server.script.append(400)
    report = run_load(server.address, phones, files_per_phone=5, file_bytes=20_000, threads=2)
    assert (report.uploads, report.acknowledged) == (10, 9)
    assert report.statuses == {"200": 9, "400": 1}
    assert len(report.latencies_ms) == 10
    assert report.uploads_per_second > 0
    assert len(server.ports) <= 2
    assert sum(len(phone.outbox) for phone in phones) == 1
    assert all(abs(len(content) - 20_000) < 1_000 for _, content in server.uploads())
    assert json.loads(json.dumps(report.summary()))["latency_ms"]["count"] == 10


def test_the_command_prints_one_report(
    server: ScriptedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    participants = tmp_path / "participants.json"
    participants.write_text(json.dumps([{"patient_id": "a1", "password": "p"}, {"patient_id": "b2", "password": "p"}]))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    arguments = ["--server", server.address, "--participants", str(participants), "--files", "4"]
    assert main([*arguments, "--file-bytes", "3000", "--report", str(tmp_path / "r.json")]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((tmp_path / "r.json").read_text())
    # Four files, and for each phone the answers to one survey (two files) and a recording.
    assert report["acknowledged_files"] == 4 + 2 * 3
    assert Path(report["ledger"]) == tmp_path / "r.ledger.jsonl"


def test_the_command_ends_cleanly_on_sigterm(server: ScriptedServer) -> None:
    running = subprocess.Popen(
        [
            *(sys.executable, "-m", "ops.phones", "--server", server.address, "--participants", "-"),
            *("--seconds", "inf", "--rate", "2", "--backfill-days", "1"),
        ],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert running.stdin is not None
        running.stdin.write('[{"patient_id": "a1", "password": "p"}]')
        running.stdin.close()
        running.stdin = None
        assert server.has_upload.wait(20)
        running.send_signal(signal.SIGTERM)
        output, _ = running.communicate(timeout=20)
    finally:
        running.kill()
        running.wait()
    report = json.loads(output)
    assert running.returncode == 0
    assert report["acknowledged_files"] >= 1
    assert report["acknowledged_files"] == len(read_ledger(Path(report["ledger"])))
    shutil.rmtree(Path(report["ledger"]).parent)


def test_bad_participants_are_one_line_and_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("{}x")
    assert main(["--server", "http://127.0.0.1:9", "--participants", str(bad)]) == 1
    assert capsys.readouterr().err.startswith("participants: wanted a JSON list")


def test_the_phones_import_nothing_of_the_server_but_the_rules_of_surveys() -> None:
    """PHONE-56: which questions an app shows is written down once, and shared with the preview."""
    source = Path(sys.modules["ops.phones"].__file__ or "").parent
    for module in source.glob("*.py"):
        for line in module.read_text(encoding="utf-8").splitlines():
            if module.name == "surveys.py" and line.startswith(
                ("from core.surveys.rules.", "from core.streams.table ")
            ):
                continue
            assert not line.startswith(("import core", "from core", "import webapp", "from webapp", "import flows"))


def test_plaintext_has_no_line_end_of_its_own() -> None:
    assert plaintext(["a", "b"]) == b"a\nb"
    assert Ledger().entries == []


def test_participants_may_say_which_platform_they_have(tmp_path: Path) -> None:
    people = tmp_path / "people.json"
    people.write_text(
        json.dumps([{"patient_id": "a", "password": "x", "platform": "ios"}, {"patient_id": "b", "password": "y"}])
    )
    participants, platform_of = read_participants(str(people))
    options = FleetOptions("http://127.0.0.1:1", participants, platform_of=platform_of)
    members = make_members(options, Transport(options.server), Ledger())
    assert [member.phone.platform for member in members] == [Platform.IOS, Platform.IOS]
    people.write_text(json.dumps([{"patient_id": "a", "password": "x", "platform": "windows"}]))
    with pytest.raises(ValueError, match="participants"):
        read_participants(str(people))
