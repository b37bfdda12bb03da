"""A participants' table, daily summaries and a chunk of GPS.

BEIWE_URL, BEIWE_ACCESS_KEY, BEIWE_SECRET_KEY and BEIWE_STUDY must be set.
"""

import io
import os

import pandas
import requests

URL, STUDY = os.environ["BEIWE_URL"], os.environ["BEIWE_STUDY"]
KEY = {"access_key": os.environ["BEIWE_ACCESS_KEY"], "secret_key": os.environ["BEIWE_SECRET_KEY"]}
HEADERS = {"X-Access-Key-Id": KEY["access_key"], "X-Access-Key-Secret": KEY["secret_key"]}


def post(path: str, **fields: str) -> requests.Response:
    """An endpoint with form fields; raises an error that says what the server said."""
    answer = requests.post(URL + path, data={**KEY, "study_id": STUDY, **fields}, timeout=120)
    if not answer.ok:
        raise RuntimeError(f"{path}: {answer.status_code} {answer.text}")
    return answer


participants = pandas.read_csv(io.StringIO(post("/get-participant-table-data/v1", data_format="csv").text))
print(participants[["Patient ID", "Status"]])

days = pandas.read_json(io.StringIO(post("/get-summary-statistics/v1").text))
print(days[["date", "participant_id", "beiwe_gps_bytes"]])

query = {"study_id": STUDY, "data_streams": "gps", "limit": 1}
manifest = requests.get(f"{URL}/get-data/v3/manifest", params=query, headers=HEADERS, timeout=120).json()
for file in manifest["files"]:
    contents = requests.get(URL + file["url"], headers=HEADERS, timeout=120).content
    print(file["name"], pandas.read_csv(io.BytesIO(contents)).head(3).to_string(), sep="\n")
