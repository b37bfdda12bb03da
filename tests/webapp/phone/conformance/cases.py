"""The table: every condition that an endpoint tells apart, and its answer on the Android and the iOS path."""

from collections.abc import Callable
from typing import Any

from core.crypto.passwords import device_hash
from tests.webapp.phone.conformance import situations as when
from tests.webapp.phone.conformance.case import REFUSED, Body, Case
from tests.webapp.phone.conformance.situations import OTHER, golden

REGISTRATION_KEYS = [
    "client_public_key",
    "device_settings",
    "ios_plist",
    "android_firebase_json",
    "study_name",
    "study_id",
]
SURVEY_KEYS = {"_id", "survey_type", "content", "settings", "timings", "name"}
POST_ONLY = ("set_fcm_token", "test_notification", "send_survey_notification")
FULL = ("set_password", "graph", "test_notification", "send_survey_notification")
MINIMAL = ("upload", "get_latest_device_settings", "download_surveys", "mobile-heartbeat", "set_fcm_token")
ENDPOINTS = ("register_user", *MINIMAL[1:4], "set_password", "set_fcm_token", *FULL[2:], "graph", "upload")

EMPTY = Body("empty", lambda answer: answer.data == b"")
REASON = Body("a reason", lambda answer: bool(answer.text) and "<" not in answer.text)
PAGE = Body("a page that stands alone", lambda answer: "<title>Rendered graph for user</title>" in answer.text)
NOTICE = Body("a page in words for participants", lambda answer: "<h1" in answer.text)
SETTINGS = Body(
    "every setting",
    lambda answer: (
        answer.data.isascii()
        and {"id", "gps", "consent_sections", "heartbeat_message", "enable_extensive_device_info_tracking"}
        <= answer.json.keys()
    ),
)
SURVEYS = Body(
    "every survey", lambda answer: bool(answer.json) and all(survey.keys() == SURVEY_KEYS for survey in answer.json)
)
NO_SURVEYS = Body("`[]`", lambda answer: answer.json == [])
REGISTERED = Body(
    "key, settings, study", lambda answer: answer.data.isascii() and list(answer.json) == REGISTRATION_KEYS
)
ANYTHING = Body("an error page", lambda answer: True)


def text(exactly: str) -> Body:
    return Body(f"`{exactly}`", lambda answer: answer.text == exactly)


def leads_to(address: str) -> Body:
    return Body(f"to `{address}`", lambda answer: answer.location.startswith(address))


def both(status: int) -> tuple[int, int]:
    return status, status


def _getting_in(endpoint: str) -> list[Case]:
    """What is the same for every endpoint (PHONE-6, PHONE-20, PHONE-21)."""

    def refused(condition: str, ids: tuple[str, ...], **more: Any) -> Case:
        return Case(endpoint, condition, REFUSED, EMPTY, ("PHONE-20", *ids), **more)

    cases = [
        *(refused(f"`{name}` missing", ("PHONE-21",), fields={name: None}) for name in when_missing()),
        refused("`device_id` empty", ("PHONE-22",), fields={"device_id": ""}),
        refused("nobody has that id", ("PHONE-21",), fields={"patient_id": "nobody11"}),
        refused("participant waits for a purge", ("PHONE-21", "PHONE-67"), who=when.waiting_for_a_purge),
        refused("participant was purged", ("PHONE-21", "PHONE-67"), who=when.purged),
    ]
    if endpoint in FULL or endpoint == "register_user":
        cases.append(refused("password wrong", ("PHONE-21",), fields={"password": device_hash("wrong")}))
    if endpoint in POST_ONLY:
        cases.append(Case(endpoint, "GET", both(405), ANYTHING, ("PHONE-6",), method="GET"))
    else:
        cases.append(refused("GET, which has no form", ("PHONE-6",), method="GET"))
    if endpoint != "upload":
        large = {"message": "x" * (1 << 20)}
        cases.append(Case(endpoint, "body beyond 1 MiB", both(413), REASON, ("PHONE-10",), fields=large))
    busy = when.nothing_more_is_allowed
    wrong = {"password": "wrong"}
    busy_case = Case(
        endpoint,
        "too many requests without the right password",
        both(429),
        REASON,
        ("PHONE-15",),
        fields=wrong,
        during=busy,
    )
    return [*cases, busy_case]


def when_missing() -> tuple[str, ...]:
    return "patient_id", "password", "device_id"


def _answering(endpoint: str, body: Body, ids: tuple[str, ...], status: int = 200, **more: Any) -> list[Case]:
    """Endpoints that serve every participant who gets in, whatever the password and the study (PHONE-23)."""

    def served(condition: str, *further: str, **case: Any) -> Case:
        return Case(endpoint, condition, both(status), body, (*ids, *further), **more, **case)

    cases = [
        served("participant retired", "PHONE-23", who=when.retired),
        served("study stopped", "PHONE-23", who=when.IN_STOPPED_STUDY),
        served("study hidden", "PHONE-23", who=when.IN_HIDDEN_STUDY),
        served("study over", "PHONE-23", who=when.IN_ENDED_STUDY),
    ]
    if endpoint in MINIMAL:
        cases.append(served("password wrong, which is not looked at", "PHONE-21", fields={"password": "wrong"}))
    return cases


def _registering() -> list[Case]:
    def case(condition: str, status: tuple[int, int], body: Body, *ids: str, **more: Any) -> Case:
        return Case("register_user", condition, status, body, ids, **more)

    wrong = {"password": device_hash("wrong")}
    return [
        case(
            "first registration",
            both(200),
            REGISTERED,
            "PHONE-31",
            "PHONE-32",
            "PHONE-36",
            "PHONE-37",
            who=when.not_yet_registered,
        ),
        case("from another phone", both(200), REGISTERED, "PHONE-22", "PHONE-33", fields={"device_id": "another"}),
        case(
            "identifiers missing",
            both(200),
            REGISTERED,
            "PHONE-31",
            "PHONE-34",
            who=when.not_yet_registered,
            fields={"device_os": None, "model": None},
        ),
        case("`phone_number` missing", both(400), EMPTY, "PHONE-32", fields={"phone_number": None}),
        case("`new_password` missing", both(400), EMPTY, "PHONE-32", fields={"new_password": None}),
        case("participant retired", both(400), EMPTY, "PHONE-32", who=when.retired),
        case("study stopped", both(200), REGISTERED, "PHONE-33", who=when.IN_STOPPED_STUDY),
        case("study hidden", both(200), REGISTERED, "PHONE-33", who=when.IN_HIDDEN_STUDY),
        case("study over", both(200), REGISTERED, "PHONE-33", who=when.IN_ENDED_STUDY),
        case(
            "password wrong, participant enrols easily",
            both(200),
            REGISTERED,
            "PHONE-35",
            fields=wrong,
            who=when.enrolling_easily,
        ),
        case(
            "password wrong, study enrols easily",
            both(200),
            REGISTERED,
            "PHONE-35",
            fields=wrong,
            who=when.IN_EASY_STUDY,
        ),
        case(
            "second call with the temporary password",
            REFUSED,
            EMPTY,
            "PHONE-38",
            who=when.registered_with_a_new_password,
        ),
        case("participant has no keys", both(503), REASON, "PHONE-93", who=when.without_keys),
        case("object store down", both(503), REASON, "PHONE-17", during=when.store_is_down),
    ]


def _fetching() -> list[Case]:
    return [
        Case("get_latest_device_settings", "as usual", both(200), SETTINGS, ("PHONE-40", "PHONE-41", "PHONE-42")),
        *_answering("get_latest_device_settings", SETTINGS, ("PHONE-41",)),
        Case(
            "get_latest_device_settings",
            "database down",
            both(503),
            REASON,
            ("PHONE-42", "PHONE-43"),
            during=when.database_is_down,
        ),
        Case(
            "download_surveys",
            "study with surveys",
            both(200),
            SURVEYS,
            ("PHONE-44", "PHONE-46"),
            who=when.with_a_survey,
        ),
        Case("download_surveys", "study without surveys", both(200), NO_SURVEYS, ("PHONE-44",)),
        *_answering("download_surveys", NO_SURVEYS, ("PHONE-44",)),
        Case(
            "download_surveys",
            "a survey is broken in the database",
            both(503),
            EMPTY,
            ("PHONE-45",),
            who=when.with_an_unreadable_survey,
        ),
    ]


def _small() -> list[Case]:
    def token(condition: str, value: str | None) -> Case:
        return Case("set_fcm_token", condition, both(204), EMPTY, ("PHONE-12", "PHONE-60"), fields={"fcm_token": value})

    return [
        Case(
            "mobile-heartbeat",
            "with a message",
            both(200),
            EMPTY,
            ("PHONE-12", "PHONE-59"),
            fields={"message": "timer"},
        ),
        Case("mobile-heartbeat", "without a message", both(200), EMPTY, ("PHONE-12", "PHONE-59")),
        *_answering("mobile-heartbeat", EMPTY, ("PHONE-59",)),
        Case("set_password", "`new_password` in plain", both(200), EMPTY, ("PHONE-12", "PHONE-27", "PHONE-58")),
        Case("set_password", "`new_password` empty", both(200), EMPTY, ("PHONE-58",), fields={"new_password": ""}),
        Case("set_password", "`new_password` missing", both(400), EMPTY, ("PHONE-58",), fields={"new_password": None}),
        *_answering("set_password", EMPTY, ("PHONE-58",)),
        token("a token", "the-token"),
        token("a blank token", " "),
        token("no token", None),
        token("a token of no sensible length", "x" * 5_000),
        *_answering("set_fcm_token", EMPTY, ("PHONE-60",), 204),
    ]


def _pushes(endpoint: str) -> list[Case]:
    def case(condition: str, status: int, body: Body, **more: Any) -> Case:
        return Case(endpoint, condition, both(status), body, ("PHONE-61",), **more)

    cases = [
        case("token and credentials are there", 204, EMPTY, who=when.with_a_push_token, during=when.google_listens),
        case("no push token", 400, REASON, during=when.google_listens),
        case("no credentials for the push service", 400, REASON, who=when.with_a_push_token),
    ]
    if endpoint == "send_survey_notification":
        none = when.with_a_push_token_but_no_survey
        cases.append(case("study without surveys", 400, REASON, who=none, during=when.google_listens))
    return cases


def _graph() -> list[Case]:
    return [
        Case("graph", "with answers", both(200), PAGE, ("PHONE-62",), who=when.with_answers),
        Case("graph", "without answers", both(200), PAGE, ("PHONE-62",)),
        *_answering("graph", PAGE, ("PHONE-62",)),
        Case(
            "graph",
            "object store down",
            both(503),
            NOTICE,
            ("PHONE-62",),
            who=when.with_answers,
            during=when.store_is_down,
        ),
    ]


def _uploads() -> list[Case]:
    """The decision chain, in its order (PHONE-64)."""

    def case(condition: str, status: int, body: str, *ids: str, **more: Any) -> Case:
        return Case("upload", condition, both(status), text(body), ("PHONE-64", *ids), **more)

    def junk(condition: str, name: str | None) -> Case:
        return case(condition, 200, "file obviously invalid.", fields={"file_name": name})

    def named(condition: str, name: str) -> Case:
        told = "file name not recognised, kept aside."
        return case(condition, 200, told, "PHONE-69", fields={"file_name": name}, kept=("aside",))

    def stopped(condition: str, who: when.Situation, *ids: str) -> Case:
        return case(condition, 200, "study is deleted, stopped, or ended.", *ids, who=who)

    no_key, nothing, fine = (
        "file had decryption key error 'kept aside'",
        "file was bad due to 'no data in it', delete it.",
        "upload successful.",
    )
    in_store, aside = ("in the store",), ("aside",)
    return [
        junk("`file_name` missing", None),
        junk("`file_name` empty", ""),
        junk("name begins with `rList`", "rList-1.csv"),
        junk("name begins with `PersistedInstallation`", "PersistedInstallation.json"),
        junk("name without a dot", "{id}_gps_1"),
        junk("another extension", "{id}_gps_1.exe"),
        junk("extension in capitals", "{id}_gps_1.CSV"),
        case("participant retired", 200, "participant permanently retired.", "PHONE-23", who=when.retired),
        case(
            "participant retired, file broken",
            200,
            "participant permanently retired.",
            "PHONE-65",
            who=when.retired,
            file=b"broken",
        ),
        stopped("study hidden", when.IN_HIDDEN_STUDY),
        stopped("study stopped by hand", when.IN_STOPPED_STUDY),
        stopped("study over", when.IN_ENDED_STUDY, "PHONE-66"),
        case(
            "study stopped, no file",
            200,
            "study is deleted, stopped, or ended.",
            "PHONE-65",
            file=None,
            who=when.IN_STOPPED_STUDY,
        ),
        case(
            "other contents of that name wait in the queue",
            400,
            "file already present, upload again later (your bug!)",
            "PHONE-81",
            who=when.with_other_contents_queued,
        ),
        case("the same contents wait in the queue", 200, fine, "PHONE-82", who=when.with_these_contents_queued),
        case(
            "other contents of that name were processed",
            200,
            fine,
            "PHONE-81",
            kept=in_store,
            who=when.with_other_contents_processed,
        ),
        case("neither part nor field `file`", 400, "file not present", file=None),
        case(
            "another participant's id in the name",
            200,
            "file name not recognised, kept aside.",
            "PHONE-69",
            fields={"file_name": "zzzzzzzz_gps_1.csv"},
            kept=aside,
        ),
        named("a name with `..`", "../../x.csv"),
        named("a name that no app gives", "{id}_unheard_1.csv"),
        named("a name of 300 characters", "{id}_" + "x" * 290 + ".csv"),
        case("file of no bytes", 200, nothing, file=b""),
        case("file of line feeds", 200, nothing, file=b"\n\n"),
        case("no key line", 200, no_key, "PHONE-106", "PHONE-84", file=golden("missing_key_line"), kept=aside),
        case("key line cut", 200, no_key, "PHONE-106", "PHONE-84", file=golden("key_line_truncated"), kept=aside),
        case(
            "encrypted for another participant",
            200,
            no_key,
            "PHONE-106",
            file=golden("key_for_another_participant"),
            kept=aside,
        ),
        case("not encrypted", 200, no_key, "PHONE-106", file=golden("plain_csv"), kept=aside),
        case("nothing but NULs", 200, no_key, "PHONE-114", file=golden("all_null_bytes"), kept=aside),
        case("participant has no keys", 200, no_key, who=when.without_keys, kept=aside),
        case("key line only", 200, "empty file?", "PHONE-101", file=golden("key_line_only")),
        case("every line failed", 200, "empty file?", "PHONE-85", file=golden("mp4_cut_in_base64"), kept=aside),
        case(
            "some lines failed",
            200,
            fine,
            "PHONE-85",
            "PHONE-109",
            "PHONE-111",
            file=golden("last_line_cut_in_base64"),
            kept=("in the store", "aside"),
        ),
        case("whole", 200, fine, "PHONE-68", kept=in_store),
        case(
            "the id in the name in capitals",
            200,
            fine,
            "PHONE-69",
            fields={"file_name": "{ID}_gps_1.csv"},
            kept=in_store,
        ),
        case(
            "a recording",
            200,
            fine,
            "PHONE-100",
            file=golden("ios_voice_wav_no_final_newline"),
            kept=in_store,
            fields={"file_name": "{id}_voiceRecording_Qm4vT8sZ1nB6xK2wR9cJ5hLp_1717236000000.wav"},
        ),
        case(
            "password wrong, which is not looked at", 200, fine, "PHONE-21", fields={"password": "wrong"}, kept=in_store
        ),
        case(
            "another request queues that name meanwhile",
            400,
            "backoff, duplicate race condition.",
            "PHONE-83",
            during=when.another_request_is_quicker,
        ),
        case("object store down", 503, "not stored, try again later.", during=when.store_is_down),
        case("database down", 503, "not stored, try again later.", during=when.database_is_down),
        Case(
            "upload",
            "body beyond UPLOAD_MAX_BYTES",
            both(413),
            REASON,
            ("PHONE-10",),
            file=OTHER * 3,
            during=when.bodies_may_be_small_only,
        ),
    ]


def _paths() -> list[Case]:
    def nowhere(condition: str, *paths: str) -> Case:
        return Case("other paths", condition, both(404), ANYTHING, ("PHONE-2",), paths=paths)

    return [
        nowhere("another ending than `/ios`", "/upload/android", "/upload/iOS", "/upload/ios/ios"),
        nowhere("two slashes inside", "/upload//ios", "/mobile-heartbeat//"),
        nowhere("capitals", "/Upload", "/UPLOAD/ios"),
        nowhere("nothing of that name", "/uploads", "/set_apns_token"),
    ]


def _pages(name: str, setting: str) -> list[Case]:
    address = "https://example.org/there"
    here = {"paths": (f"/{name}", f"/{name}/"), "method": "GET"}
    return [
        Case(
            name,
            f"{setting.upper()} is set",
            both(302),
            leads_to(address),
            ("PORTAL-280",),
            during=when.settings_say(**{setting: address}),
            **here,
        ),
        Case(name, f"{setting.upper()} is not set", both(404), NOTICE, ("PORTAL-280",), **here),
    ]


ANSWERS: dict[str, Callable[[], list[Case]]] = {
    "register_user": _registering,
    "fetching": _fetching,
    "small": _small,
    "graph": _graph,
    "upload": _uploads,
}
CASES = [
    *(case for answers in ANSWERS.values() for case in answers()),
    *_pushes("test_notification"),
    *_pushes("send_survey_notification"),
    *(case for endpoint in ENDPOINTS for case in _getting_in(endpoint)),
    *_paths(),
    *_pages("download", "downloadable_apk_url"),
    *_pages("privacy_policy", "privacy_policy_url"),
]
