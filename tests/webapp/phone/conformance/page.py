"""The table as a page: docs/phone-api.md."""

from tests.support.paths import REPOSITORY
from tests.webapp.phone.conformance.case import Case
from tests.webapp.phone.conformance.cases import CASES, ENDPOINTS
from tests.webapp.phone.conformance.situations import NAME

DOCUMENT = REPOSITORY / "docs" / "phone-api.md"
PAGES = ("download", "privacy_policy")
INTRODUCTION = """\
# What phones ask, and what they are told

For developers who change the phones' endpoints, or wonder why an app says what it says. `make test` asks every question
below of the running application, so this page is true; `python -m tests.webapp.phone.conformance` makes it from the
same table.

- Every request is a POST of form fields with the phone's own credentials: `patient_id`, `password` (its device hash)
  and `device_id`. No cookie, no token, no session.
- Android posts to `/name`, iOS to `/name/ios/`. Both answer with and without the slash at the end, and behind a doubled
  one in front; nobody is redirected. The platforms differ in the code of a refusal: 403, on the `/ios` path 401. Both
  apps ask for `mobile-heartbeat`, `set_fcm_token`, the two notifications and `graph` without `/ios`: 403 there.
- A phone deletes an uploaded file on 200 and sends it again, for ever, on anything else. So 200 means: it is stored, or
  kept aside for the study to look at, or nobody will ever want it.
- 503 and 429 come with `Retry-After`; phones keep what they have on any error, and no code signs them out.
- JSON is ASCII, with a charset in its header.

Each table is read from the top: the first condition that holds gives the answer. `PHONE-…` are ids of the
[requirements](requirements.md). Each row is a case of `test_phones_are_told_what_the_table_says` in
`tests/webapp/phone/test_conformance.py`, which endpoint and condition name: `pytest -k "upload and recording"`.
"""
ABOUT = {
    "register_user": "A phone introduces itself; its participant's password becomes `new_password`. Asked once, or"
    " again from another phone. The password counts unless participant or study enrols easily.",
    "get_latest_device_settings": "What to record, how often, and the texts of the app. Asked every half hour.",
    "download_surveys": "All surveys of the study with the times of this week. A survey that is left out is deleted on"
    " the phone, so it is all or none.",
    "mobile-heartbeat": "A sign of life, every five minutes.",
    "set_password": "The participant chose another password.",
    "set_fcm_token": "Where to send pushes. An empty one means nowhere.",
    "test_notification": "A button of development builds: send me a push. 502 or 503 where the push service fails.",
    "send_survey_notification": "The same, with up to four of the study's surveys.",
    "graph": 'The page behind "view survey answers": numbers of the last seven answers of each survey.',
    "upload": f"An encrypted file, named like `{NAME.format(id='ab3kz9qw')}`. What is kept: its plaintext in the store,"
    " its bytes as received aside, both, or nothing.",
    "download": "An address that study staff hand out. Open to everybody, by GET.",
    "privacy_policy": "The same.",
    "other paths": "There is nothing.",
}


def page() -> str:
    """The whole document."""
    parts = [INTRODUCTION]
    for endpoint in (*ENDPOINTS, *PAGES, "other paths"):
        title = f"## {endpoint if endpoint == 'other paths' else f'`/{endpoint}`'}"
        parts.append("\n".join([title, "", ABOUT[endpoint], "", *_table([c for c in CASES if c.endpoint == endpoint])]))
    return "\n".join(parts)


def _table(cases: list[Case]) -> list[str]:
    """Limits and refusals first; a column for the iOS path where there is one, one for what is kept of files."""
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
