"""The rights of a request with many studies: `python -m tests.benchmarks.bench_rights`.

Prints one JSON line: queries and time (ms, p50 and p95) to know what a researcher with 200 studies may do, and the time
of one decision, when every capability is asked in every study. Raises if that takes more than one query in all.
"""

import time

import sqlalchemy as sa

from core.access import STORED_ROLES, TABLE, Capability, Scope, decide
from core.accounts import create_researcher, new_password
from core.audit import SERVER
from core.database import db
from core.models import StudyRole
from core.models.researcher import requester_of
from core.studies import create_study
from ops.phones.report import percentiles
from tests.benchmarks.measure import report
from tests.benchmarks.serving import migrated

STUDIES, ROUNDS = 200, 200


def main() -> None:
    """Runs the benchmark."""
    with migrated():
        person = create_researcher(db.session(), "person", new_password(), is_site_admin=False, actor=SERVER)
        studies = [create_study(db.session(), f"Study {number}", actor=SERVER) for number in range(STUDIES)]
        db.session.flush()
        for number, study in enumerate(studies):
            role = STORED_ROLES[number % len(STORED_ROLES)]
            db.session.add(StudyRole(study_id=study.id, researcher_id=person.id, role=role.value))
        db.session.commit()
        for study in studies:
            assert study.id and person.id
        queries: list[str] = []
        sa.event.listen(db.engine, "before_cursor_execute", lambda *seen: queries.append(seen[2]))
        times = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            actor = requester_of(db.session(), person)
            times.append((time.perf_counter() - began) * 1000)
        assert len(queries) == ROUNDS, queries[:3]
        began = time.perf_counter()
        asked = [
            decide(actor, capability, study).is_allowed
            for study in studies
            for capability in Capability
            if TABLE[capability].scope is Scope.STUDY
        ]
        decisions_ms = (time.perf_counter() - began) * 1000
        assert len(queries) == ROUNDS
        found = percentiles(times)
        report(
            "rights",
            studies=STUDIES,
            queries=1,
            p50_ms=found["p50"],
            p95_ms=found["p95"],
            decisions=len(asked),
            us_a_decision=round(decisions_ms * 1000 / len(asked), 2),
        )


if __name__ == "__main__":
    main()
