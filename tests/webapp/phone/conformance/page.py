"""The table as a page: docs/phone-api.md."""

from tests.support.paths import REPOSITORY
from tests.webapp.phone.conformance.case import Case
from tests.webapp.phone.conformance.cases import CASES, ENDPOINTS
from tests.webapp.phone.conformance.situations import NAME

DOCUMENT = REPOSITORY / "docs" / "phone-api.md"
PAGES = ("download", "privacy_policy")
INTRODUCTION = """\
# Requests of phones, and the answers to them

For developers who change the phones' endpoints, or who look for the cause of an app's message. `make test` sends every
request below to the application and compares the answer; `python -m tests.webapp.phone.conformance` writes this page
from the table of that test.

- Every request is a POST of form fields with the phone's own credentials: `patient_id`, `password` (its device hash)
  and `device_id`. No cookie, no token, no session.
- Android posts to `/name`, iOS to `/name/ios/`. Both paths work with and without a slash at the end, and with several
  slashes in front; there are no redirects. A refusal is 403, on the `/ios` path 401. Both apps request
  `mobile-heartbeat`, `set_fcm_token`, the two notifications and `graph` without `/ios`, so these are refused with 403.
- A phone deletes an uploaded file after a 200, and sends it again, for ever, after any other status. So 200 means that
  the file is stored, or kept aside for the study's staff, or of no use to anybody.
- 503 and 429 have `Retry-After`. After any error phones keep their data, and no status signs them out.
- JSON is ASCII, with a charset in its header.

Read each table from the top: the first condition that holds gives the answer. `PHONE-…` are ids of the
[requirements](requirements.md). Each row is a case of `test_phones_are_told_what_the_table_says` in
`tests/webapp/phone/test_conformance.py`. To run some, name endpoint and condition: `pytest -k "upload and recording"`.
"""
ABOUT = {
    "register_user": "Registers a phone; its participant's password becomes `new_password`. Sent once, and again from"
    " another phone. The password is checked unless participant or study has easy enrolment.",
    "get_latest_device_settings": "What to record, how often, and the texts of the app. Requested every half hour.",
    "download_surveys": "All surveys of the study with the times of this week. Always all or none, since a phone"
    " deletes a survey that is missing.",
    "mobile-heartbeat": "Shows that the app still runs, every five minutes.",
    "set_password": "The participant chose another password.",
    "set_fcm_token": "Where to send pushes. An empty one means nowhere.",
    "test_notification": "A button of development builds that requests a push. 502 or 503 if the push service fails.",
    "send_survey_notification": "A button that requests a push of up to four of the study's surveys.",
    "graph": 'The page behind "view survey answers": numbers of the last seven answers of each survey.',
    "upload": f"An encrypted file, named like `{NAME.format(id='ab3kz9qw')}`. Its plaintext is kept in the store, its"
    " bytes are kept aside as received, or both, or nothing.",
    "download": "A public address of the Android app, which study staff give to participants. GET.",
    "privacy_policy": "A public address of the privacy policy, which study staff give to participants. GET.",
    "other paths": "Nothing is served at other paths.",
}


def page() -> str:
    """The text of docs/phone-api.md."""
    parts = [INTRODUCTION]
    for endpoint in (*ENDPOINTS, *PAGES, "other paths"):
        title = f"## {endpoint if endpoint == 'other paths' else f'`/{endpoint}`'}"
        parts.append("\n".join([title, "", ABOUT[endpoint], "", *_table([c for c in CASES if c.endpoint == endpoint])]))
    return "\n".join(parts)


def _table(cases: list[Case]) -> list[str]:
    """The lines of a table, limits and refusals first; columns for the iOS path and for kept files where needed."""
    cases = sorted(cases, key=lambda case: (case.status[0] not in (405, 413, 429), "PHONE-20" not in case.ids))
    has_ios, has_files = not cases[0].paths, cases[0].endpoint == "upload"
    heads = ["condition", *(["Android", "iOS"] if has_ios else ["answer"]), "body", *["kept"] * has_files, "ids"]
    rows = []
    for case in cases:
        statuses = [str(status) for status in (case.status if has_ios else case.status[:1])]
        kept = [" and ".join(case.kept) or "–"] if has_files else []
        rows.append([case.condition, *statuses, case.body.words, *kept, ", ".join(case.ids)])
    lines = [f"| {' | '.join(row)} |" for row in (heads, *rows)]
    return [lines[0], "|" + "---|" * len(heads), *lines[1:], ""]
