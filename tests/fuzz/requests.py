"""Makes requests to the phones' endpoints, from those of the apps to nonsense, as data."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote_from_bytes

from core.crypto.passwords import device_hash
from tests.fuzz.device_files import device_file, whole_files
from tests.fuzz.dice import Dice
from tests.support.factories import PASSWORD

ENDPOINTS = (
    "upload",
    "register_user",
    "get_latest_device_settings",
    "download_surveys",
    "mobile-heartbeat",
    "set_password",
    "set_fcm_token",
    "test_notification",
    "send_survey_notification",
    "graph",
)
# How a path may be written, and whether it still leads to the endpoint.
SPELLINGS = (
    ("/{}", True),
    ("/{}/", True),
    ("/{}/ios", True),
    ("/{}/ios/", True),
    ("//{}", True),
    ("///{}/ios/", True),
    ("/{}/iOS", False),
    ("/{}/ios2", False),
    ("/{}/android", False),
    ("/{}//ios", False),
    ("/x/{}", False),
    ("/{}.ios", False),
    ("/{}\0", False),
    ("/{}\xff/", False),
    ("/%2e%2e/{}", False),
    ("/{}/ios/ios", False),
)
URLENCODED = "application/x-www-form-urlencoded"
Fields = list[tuple[bytes, bytes]]
ODD_VALUES = (
    b"",
    b" ",
    b"\0",
    "🦉".encode(),
    "ü".encode() * 50,
    b"a" * 300,
    b"%",
    b"%zz",
    b"%00",
    b"%ff%fe",
    b"+",
    b"a&b=c",
    b"=",
    b"\r\n",
    b"\n",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"../../x",
    b"' OR 1=1 --",
    b"[]",
    b"{}",
    b"null",
    b"-1",
    b"1e999",
    b"\xe2\x80\xae",
    b"x" * 40_000,
)
ODD_ZONES = (b"Europe/Kyiv", b"GMT+3", b"GMT 05:30", b"nonsense", b"../../etc/passwd", b"europe/kyiv", b"Factory", b"/")
UUID = b"4b1c2f6e-8a51-4a54-9d0c-3f0a9be1c0de"
REPORTS = (
    b'["' + UUID + b'","2024-06-01 10:00:00.00(ET)"]',
    b"[",
    b"[1,null]",
    b"[" * 3_000 + b"]" * 3_000,
    b"not json",
    b'["\\ud800"]',
    b'["\\u0000"]',
    b'[["' + UUID + b'"]]',
    b"[NaN]",
    b'{"a":1}',
    b"[" + b"9" * 5_000 + b"]",
)
ALIASES = ("accel", "gps", "ios_log", "voiceRecording", "surveyAnswers", "surveyTimings", "wifiLog", "callLog")
SURVEY_ID = "Qm4vT8sZ1nB6xK2wR9cJ5hLp"
ODD_HEADERS = (
    ("Authorization", "Basic x"),
    ("Authorization", "Basic p@d:w"),
    ("Authorization", "Basic " + "A" * 5_000),
    ("Authorization", "Bearer \xff"),
    ("Cookie", "session=x"),
    ("Expect", "100-continue"),
    ("Content-Encoding", "gzip"),
    ("X-HTTP-Method-Override", "DELETE"),
    ("Accept-Encoding", "gzip"),
    ("Range", "bytes=0-1"),
    ("HX-Request", "true"),
    ("Origin", "https://elsewhere.example"),
    ("If-None-Match", "*"),
    ("User-Agent", "\xfc" * 300),
    ("X-Request-Id", "\xe9"),
)
ODD_STEMS = (
    "rList-1",
    "PersistedInstallation",
    "../../x",
    "{0}_../../../x",
    "/etc/passwd",
    "a/b",
    "..\\..\\x",
    "{0}_gps_１",
    "zzzzzzzz_gps_1717236000000",
    "{0}_gps_" + "1" * 300,
    "{0}_keys_1",
    "{0}_identifiers_1717236000",
    "{0}_gps_1\n",
    "{0}_gps__1",
    "{0}__",
    "keys_{0}_private",
    "{0}_gps_1.zst",
    "CHUNKED_DATA_x",
    "ö" * 140,
    "{0}/gps/1",
    "." * 200,
    "{0}_surveyAnswers_1",
    "{0}_gps_" + SURVEY_ID + "_1",
    "{0}_gps_1\0",
    "{0}_accel_1.csv-duplicate-abcdefghij",
)
ODD_CONTENT_TYPES = (
    "application/json",
    "text/plain",
    "",
    "multipart/form-data",
    "multipart/mixed; boundary=b",
    "\xff",
    URLENCODED,
    "multipart/form-data; boundary=other",
    'multipart/form-data; boundary="b',
    "APPLICATION/X-WWW-FORM-URLENCODED",
    "multipart/form-data; boundary=" + "b" * 300,
    "multipart/form-data; boundary*=utf-8''%E2%82%AC",
)
ODD_DISPOSITIONS = (
    b'form-data; name="file"',
    b"form-data; name=file; filename=x.csv",
    b'form-data; name="file"; filename=""',
    b'form-data; filename="../../x.csv"; name="file"',
    b"form-data; name=\"file\"; filename*=UTF-8''x%2ecsv",
    b'attachment; name="file"',
    b'FORM-DATA; NAME="file"; FILENAME="x"',
    b'form-data; name="file"; filename="\xff"',
)
ODD_PARTS = (
    (b'form-data; name="file"; filename="second"', b"", b"second\n"),
    (b'form-data; name="file"', b"", b"text\n"),
    (b'form-data; name="other"; filename="o"', b"", b"other\n"),
    (b'form-data; name="a"', b"\r\nX: y", b"1"),
    (b'form-data; name="a"', b"\r\nContent-Type: multipart/mixed; boundary=c", b"--c\r\n\r\nx\r\n--c--"),
    (b'form-data; name="a"', b"\r\nContent-Transfer-Encoding: base64", b"eA=="),
    (b"form-data", b"", b"nameless"),
    (b'form-data; name="a"', b"\r\nContent-Type: text/plain; charset=utf-16", b"\xff\xfea\0"),
)


@dataclass(frozen=True)
class Request:
    """What goes over the wire. `endpoint` is None where the path leads nowhere; `files` are those meant to be sent."""

    method: str
    path: str
    endpoint: str | None
    content_type: str
    body: bytes
    content_length: str
    headers: tuple[tuple[str, str], ...]
    files: tuple[bytes, ...]

    @property
    def received(self) -> bytes | None:
        """The body as far as its length says; None where there is no telling, or where it broke off."""
        length = self.content_length
        if not (length.isascii() and length.isdigit()) or int(length) > len(self.body):
            return None
        return self.body[: int(length)]


def request_of(dice: Dice, patient_ids: Sequence[str]) -> Request:
    """The request of a case. Half are uploads. Unusual parts are rare, so that most requests pass the first checks."""
    endpoint = dice.pick(("upload",), ENDPOINTS)
    spelling, leads = dice.choice(SPELLINGS if dice.one_in(10) else SPELLINGS[:6])
    patient_id = dice.choice(patient_ids)
    fields = _fields(dice, endpoint, patient_id)
    file = None
    if endpoint == "upload" and not dice.one_in(20):
        file = device_file(dice)
        if dice.one_in(6):  # one that most probably came before
            fields[-1] = (b"file_name", f"{patient_id}_accel_171723600000{dice.randrange(2)}.csv".encode())
            file = whole_files()[dice.randrange(2)]
    content_type, body, files = _body(dice, fields, file)
    length = str(len(body))
    if dice.one_in(30):
        length = dice.choice((str(len(body) // 2), str(len(body) + 7), "0", "-1", "x", "", "1" * 30, " 5", "٣"))
    method = "POST"
    if dice.one_in(25):
        method = dice.choice(("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"))
    return Request(
        method=method,
        path=spelling.format(endpoint),
        endpoint=endpoint if leads else None,
        content_type=content_type,
        body=body,
        content_length=length,
        headers=_headers(dice),
        files=files,
    )


def _headers(dice: Dice) -> tuple[tuple[str, str], ...]:
    return tuple(dice.sample(ODD_HEADERS, dice.randint(1, 2))) if dice.one_in(8) else ()


# --- fields


def _fields(dice: Dice, endpoint: str, patient_id: str) -> Fields:
    sent_id, password, device_id = patient_id, device_hash(PASSWORD), b"a device"
    if dice.one_in(12):
        sent_id = dice.choice((patient_id.upper(), f" {patient_id} ", "nobody11", "", patient_id[:-1], patient_id * 40))
    if dice.one_in(12):
        password = dice.choice(("wrong", "ü", PASSWORD, "", "🦉" * 9))
    if dice.one_in(12):
        device_id = dice.choice((b"another", b""))
    fields = [(b"patient_id", sent_id.encode()), (b"password", password.encode()), (b"device_id", device_id)]
    if dice.one_in(3):
        fields += _reports(dice)
    if endpoint == "upload":
        fields.append((b"file_name", _file_name(dice, patient_id).encode(errors="replace")))
    if endpoint in ("register_user", "set_password") and not dice.one_in(8):
        # Mostly the same again, so that the next request still gets in.
        new = dice.choice(ODD_VALUES) if dice.one_in(12) else PASSWORD.encode()
        fields.append((b"new_password", new))
    if endpoint == "register_user" and not dice.one_in(8):
        fields.append((b"phone_number", dice.choice(ODD_VALUES) if dice.one_in(6) else b"NOT_SUPPLIED"))
    if endpoint == "set_fcm_token":
        name = dice.choice((b"fcm_token", b"fcm_token", b"apns_token"))
        fields.append((name, dice.choice((b"one", b"two", dice.choice(ODD_VALUES), dice.some_bytes(20)))))
    if dice.one_in(4):
        for _ in range(dice.randint(1, 2)):
            _change(dice, fields)
    return fields


def _change(dice: Dice, fields: Fields) -> None:
    at = dice.randrange(len(fields) or 1)
    value = dice.choice((dice.choice(ODD_VALUES), dice.some_bytes(30)))
    match dice.choice(("drop", "double", "replace", "add", "move")):
        case "drop":
            del fields[at : at + 1]
        case "double" if fields:
            fields.append((fields[at][0], dice.choice((fields[at][1], value))))
        case "replace" if fields:
            fields[at] = (fields[at][0], value)
        case "move":
            fields.extend(fields[at : at + 1])
            del fields[at : at + 1]
        case _:
            fields.append((dice.choice((b"", b"file\0", b"FILE", b"message", b"patient_id[]")), value))


def _reports(dice: Dice) -> Fields:
    odd = ODD_VALUES
    told = {
        b"timezone": (ODD_ZONES, odd),
        b"notification_uuids": (REPORTS, odd),
        b"active_survey_ids": (REPORTS, odd),
        b"supported_features": ((b'["survey_resend"]', b"\0"),),
        b"message": (odd,),
        b"device_os": (odd,),
        b"model": (odd,),
        b"device_status_report": ((b'{"on_wifi":"true"}', b'{"cut":"'), odd),
        b"os_version": ((b"14", b"17.5.1"), odd),
        b"version_code": ((b"84", b"2.6.1", b"1" * 40), odd),
        b"version_name": ((b"3.6.0", b"2024.30"), odd),
    }
    return [(name, dice.pick(*told[name])) for name in dice.sample(sorted(told), dice.randint(1, 4))]


def _file_name(dice: Dice, patient_id: str) -> str:
    if dice.one_in(6):
        stem = dice.choice((dice.text(20), dice.choice(ODD_STEMS).format(patient_id)))
        return stem + dice.choice((".csv", ".csv", "", ".CSV", ".exe", ".csv\n", ".csv.csv", "."))
    alias = dice.choice(ALIASES)
    if "survey" in alias or alias == "voiceRecording":
        alias = f"{alias}_{SURVEY_ID}"
    # Few at one end, for files that come again; many at the other.
    time = dice.choice((dice.randint(1717236000000, 1717236000003), dice.randint(1, 10**13)))
    extension = dice.choice(("csv",) * 5 + ("mp4", "wav", "txt", "json", "jpg"))
    owner = patient_id.upper() if dice.one_in(9) else patient_id
    return f"{owner}_{alias}_{time}.{extension}"


# --- bodies


def _body(dice: Dice, fields: Fields, file: bytes | None) -> tuple[str, bytes, tuple[bytes, ...]]:
    """Content type, body, and the files in it."""
    files = () if file is None else (file,)
    match dice.choice(("raw", "raw", "encoded", "multipart", "multipart")):
        case "raw":
            content_type, body = URLENCODED, b"".join(b"%s=%s&" % field for field in fields)
            body += b"" if file is None else b"file=" + file
        case "encoded":
            every = fields if file is None else [*fields, (b"file", file)]
            body = b"&".join(b"%s=%s" % (_quoted(name), _quoted(value)) for name, value in every)
            content_type = f"{URLENCODED}; charset=utf-8"
        case _:
            content_type, body, more = _multipart(dice, fields, file)
            files += more
    if dice.one_in(8):
        body = _damaged(dice, body)
    if dice.one_in(30):
        content_type = dice.choice(ODD_CONTENT_TYPES)
    return content_type, body, files


def _quoted(text: bytes) -> bytes:
    return quote_from_bytes(text, safe="/?").encode()


def _damaged(dice: Dice, body: bytes) -> bytes:
    at = dice.randint(0, len(body))
    odd = (b"", b"\n", b"\r\n", b"&", b"=", b"%", b"\0", b"\xff", b"--b--", b"\r\n--b\r\n", b"&file=", b"file")
    put = body[:at] + dice.choice(odd) + body[at + dice.randrange(9) :]
    return dice.choice((body[:at], body[:at], body[at:], put, put, body.replace(b"\r\n", b"\n"), body + body))


def _multipart(dice: Dice, fields: Fields, file: bytes | None) -> tuple[str, bytes, tuple[bytes, ...]]:
    boundary = dice.choice(("b", "alamofire.boundary.0123456789abcdef"))
    parts = [(b'form-data; name="%s"' % name, b"", value) for name, value in fields]
    more: tuple[bytes, ...] = ()
    if file is not None:
        disposition = dice.choice(ODD_DISPOSITIONS) if dice.one_in(6) else b'form-data; name="file"; filename="x.csv"'
        parts.append((disposition, b"\r\nContent-Type: text/csv", file))
    if dice.one_in(8):
        extra = dice.choice(ODD_PARTS)
        parts.insert(dice.randint(0, len(parts)), extra)
        more = (extra[2],)
    mark = boundary.encode()
    body = b"".join(b"--%s\r\nContent-Disposition: %s%s\r\n\r\n%s\r\n" % (mark, *part) for part in parts)
    return f"multipart/form-data; boundary={boundary}", body + b"--%s--\r\n" % mark, more
