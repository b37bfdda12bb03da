"""What maintenance finds in a made-up deployment: purges, old runs, oddities, objects."""

from collections import Counter
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from core.operations.data_audit import Oddities
from core.participants.purging import Belongings, PurgeCertificate, WaitingPurge
from core.reprocessing.participant import COUNTS
from core.storage.audit import Mismatch
from flows import audit_data, audit_store
from tests.prefect_week.phones import PATIENTS, STUDIES
from tests.prefect_week.stage import Stage

PURGE_PAUSE = timedelta(minutes=30)
RUNS_A_DAY = 1_900
OBJECTS = 183_400
STREAMS = ("accelerometer", "gps", "power_state", "app_log", "survey_answers")


class Upkeep:
    """Answers for the maintenance flows; `purges` are ids of patients and when their purge is asked for."""

    def __init__(self, stage: Stage, purges: dict[str, datetime]) -> None:
        self.stage = stage
        self.purges = purges
        self.audited_pages = 0
        self.left = dict(enumerate(PATIENTS[len(PATIENTS) // 2 :], len(PATIENTS) // 2))

    def waiting_purges(self, *_: Any) -> list[WaitingPurge]:
        now = self.stage.now
        return [
            WaitingPurge(patient, STUDIES[1], at, now - at >= PURGE_PAUSE, None)
            for patient, at in self.purges.items()
            if at <= now
        ]

    def purge(self, number: int) -> tuple[float, PurgeCertificate]:
        """The purge that waits longest is done."""
        patient = min(self.purges, key=lambda one: self.purges[one])
        asked, now = self.purges.pop(patient), self.stage.now
        places = Belongings(
            (f"{STUDIES[1]}/{patient}/", f"CHUNKED_DATA/{STUDIES[1]}/{patient}/"), (f"{STUDIES[1]}/keys/{patient}",)
        )
        rows = {"chunks": 4_102, "stored_objects": 9_377, "upload_log": 5_275, "daily_statistics": 61}
        return 38.0, PurgeCertificate(
            patient, STUDIES[1], asked, now, now + timedelta(seconds=37), places, 9_377, 214, rows
        )

    def count_runs(self, which: Any) -> int:
        """Only the history of successes is old enough."""
        return 0 if "FAILED" in str(which.state) else RUNS_A_DAY

    def prune_page(self, number: int, states: list[Any], before: datetime) -> tuple[float, int]:
        count = min(100, max(0, RUNS_A_DAY - 100 * (number - 1))) if "COMPLETED" in str(states) else 0
        return 0.1 + 0.03 * count, count

    def audit_participants(self, study: int | None, after: str, fix: bool) -> tuple[float, audit_data.AuditedRange]:
        """All in one page, and then nobody."""
        if after:
            return 0.02, audit_data.AuditedRange(0, {}, None)
        odd = Oddities(
            header_only=17,
            header_only_bytes=901,
            header_only_paths=[f"{STUDIES[0]}/{PATIENTS[5]}/accel/17145{hour:02}200000.csv" for hour in range(17)],
        )
        return 4.2, audit_data.AuditedRange(len(PATIENTS), {STUDIES[0]: odd, STUDIES[1]: Oddities()}, max(PATIENTS))

    def audit_keys(self, prefix: str, after: str, requeue: bool) -> tuple[float, audit_store.AuditedRange]:
        """Page by page to the last object; two objects have no row."""
        page = self.audited_pages
        self.audited_pages += 1
        keys = min(audit_store.PAGE_KEYS, OBJECTS - audit_store.PAGE_KEYS * page)
        if keys <= 0:
            return 0.1, audit_store.AuditedRange(0, [], None)
        folder = f"{STUDIES[page % 2]}/{PATIENTS[page]}/gps"
        orphan = {"path": f"{folder}/17145504000{page:02}.csv.zst", "mismatch": Mismatch.OBJECT_WITHOUT_ROW, "done": ""}
        return 6.5, audit_store.AuditedRange(
            keys, [orphan] if page in (4, 11) else [], f"{folder}/17145600000{page:02}.csv.zst"
        )

    def participants_left(self, *_: Any) -> dict[int, str]:
        """All of a study at first; nobody once they were given."""
        left, self.left = self.left, {}
        return left

    def reprocess(self, job_id: int, participant_id: int, patient_id: str) -> tuple[float, bool]:
        return 21.0 + participant_id % 7, True

    def totals(self, *_: Any) -> list[dict[str, Any]]:
        rows = []
        for number, stream in enumerate(STREAMS, 2):
            counts = Counter(
                raw_files=1_700 // number, equal=2_100 // number, changed=number - 2, bytes_before=10**9 // number
            )
            counts["bytes_after"] = counts["bytes_before"] + 40_000 * counts["changed"]
            rows.append({"stream": stream, **{name: counts[name] for name in COUNTS}})
        return rows

    @staticmethod
    def job(*_: Any) -> SimpleNamespace:
        return SimpleNamespace(id=1)
