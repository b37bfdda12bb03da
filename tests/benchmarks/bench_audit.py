"""The audit trail with a million rows: `python -m tests.benchmarks.bench_audit`.

Prints one JSON line: for each filter of the study's page and of the site's page the 95th percentile of the time to the
whole answer over HTTP (ms), the greatest of them, and the seconds and MB of the study's file. Half of the rows belong
to one study; 60 people made 40 kinds of changes over three years. Raises where an answer is not the page.
"""

import time
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import sqlalchemy as sa
import urllib3

from core.access import Role
from core.accounts import create_researcher, new_password
from core.audit import SERVER
from core.database import db
from core.models import StudyRole
from core.studies import create_study
from ops.phones.report import percentiles
from tests.benchmarks.bench_beside import cookie_of
from tests.benchmarks.measure import report
from tests.benchmarks.serving import BenchServer, MemoryWatch, resident_mb, serving

ROWS, PEOPLE, ACTIONS = 1_000_000, 60, 40
ROUNDS = 40
# Every tenth row is one participant's part of a change of many. Half of the rows are of person 0, who never renamed
# the study; a quarter are names that person 1 gave to it. An index on one of the two does not tell that none has both.
FILL = """
    INSERT INTO audit_records (at, actor_kind, actor_id, actor_name, actor_role, action, study_object_id, patient_id,
                               detail, request_id, address, part_of)
    SELECT now() - n * interval '95 seconds', 'researcher', p, 'person' || p, 'study_admin',
           CASE WHEN p = 1 THEN 'study.rename' WHEN a = 0 THEN 'study.stop' ELSE 'action.' || a END,
           CASE WHEN n % 2 = 0 THEN :study ELSE 'another' || n % 20 END,
           'p' || lpad((n % 5000)::text, 7, '1'), '{"before": "a", "after": "b"}', md5(n::text), '192.0.2.1',
           CASE WHEN n % 10 = 4 THEN 1 END
    FROM (SELECT n, CASE WHEN n % 8 < 4 THEN 0 WHEN n % 8 < 6 THEN 1 ELSE (n / 7) % :people END p,
                 (n / 3) % :actions a FROM generate_series(1, :rows) n) numbered"""


def main() -> None:
    """Runs the benchmark."""
    with serving() as server:
        password = new_password()
        viewer = create_researcher(
            db.session(), "viewer", password, is_site_admin=True, must_change_password=False, actor=SERVER
        )
        study = create_study(db.session(), "Study with a long trail", actor=SERVER)
        db.session.flush()
        db.session.add(StudyRole(study_id=study.id, researcher_id=viewer.id, role=Role.STUDY_ADMIN))
        given = {"study": study.object_id, "people": PEOPLE, "actions": ACTIONS, "rows": ROWS}
        db.session.execute(sa.text(FILL), given)
        db.session.commit()
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("VACUUM ANALYZE audit_records"))
        headers = {"Cookie": cookie_of(server, password), "Accept": "text/html"}
        of_study, of_site = f"/view_study/{study.id}/audit", "/audit"
        figures = {}
        for scope, path in (("study", of_study), ("site", of_site)):
            for name, asked in filters().items():
                figures[f"{scope}_{name}_p95_ms"] = p95_of(server, headers, f"{path}?{urlencode(asked)}")
        begin = time.perf_counter()
        before = resident_mb(server.workers)
        with MemoryWatch(server.workers) as memory:
            file = urllib3.request("GET", f"{server.address}{of_study}/changes.csv", headers=headers)
        if file.status != 200 or file.data.count(b"\n") < ROWS // 2:
            raise RuntimeError(f"the file was answered {file.status}")
        report(
            f"audit trail of {ROWS:,} rows",
            greatest_p95_ms=max(figures.values()),
            **figures,
            file_s=time.perf_counter() - begin,
            file_mb=len(file.data) / 1e6,
            worker_grows_mb=memory.peak_mb - before,
        )


def filters() -> dict[str, dict[str, str]]:
    """The filters of the page by a short name; also ones that match nothing, since those read the most."""
    today = datetime.now(UTC).date()
    old, older = (today - timedelta(days=days) for days in (700, 730))
    days = {"since": older.isoformat(), "until": old.isoformat()}
    return {
        "newest": {},
        "deep_page": {"before": str(ROWS // 2)},
        "person": {"person": "person7"},
        "action": {"action": "study.stop"},
        "days": days,
        "person_and_action": {"person": "person7", "action": "study.stop"},
        "person_and_action_none": {"person": "person0", "action": "study.rename"},
        "person_and_days": {"person": "person7"} | days,
        "action_and_days": {"action": "study.rename"} | days,
        "all_none": {"person": "person0", "action": "study.rename"} | days,
        "participant": {"participant": "p1111234"},
        "participant_and_person": {"participant": "p1111234", "person": "person7"},
        "nobody": {"person": "nobody"},
    }


def p95_of(server: BenchServer, headers: dict[str, str], path: str) -> float:
    """The 95th percentile of some requests, in ms, without the first, which fills the caches of the database."""
    times = []
    for _ in range(ROUNDS + 1):
        begin = time.perf_counter()
        answer = urllib3.request("GET", f"{server.address}{path}", headers=headers)
        times.append((time.perf_counter() - begin) * 1000)
        if answer.status != 200 or b"<h1>Audit trail</h1>" not in answer.data:
            raise RuntimeError(f"{path} was answered {answer.status}")
    return percentiles(times[1:])["p95"]


if __name__ == "__main__":
    main()
