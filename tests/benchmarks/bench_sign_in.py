"""Signing in over HTTP: `python -m tests.benchmarks.bench_sign_in`.

Prints one JSON line: the time of a right password with a code of the app and of a wrong password (p50 and p95, ms, to
the whole answer), the time of the password's hash alone in this process (ms), and what is left of the right sign-in
without it (`server_ms_apart_from_hash`). An account has a second factor and roles in twenty studies. Raises where an
answer is not the one expected.
"""

import time
from datetime import UTC, datetime, timedelta

import pyotp
import urllib3

from core.access import Role
from core.accounts import create_researcher
from core.accounts.second_factor import begin_totp, confirm_totp
from core.audit import SERVER
from core.crypto.passwords import verify_password
from core.database import db
from core.models import Researcher, StudyRole
from core.studies import create_study
from ops.phones.report import percentiles
from tests.benchmarks.measure import report
from tests.benchmarks.serving import BenchServer, serving

ROUNDS, STUDIES = 40, 20
PASSWORD = "Correct horse 1! battery"


def main() -> None:
    """Runs the benchmark."""
    with serving() as server:
        people = [with_second_factor(f"person{n}") for n in range(ROUNDS)]
        for number in range(STUDIES):
            study = create_study(db.session(), f"Study {number}", actor=SERVER)
            db.session.flush()
            rows = (
                StudyRole(study_id=study.id, researcher_id=person.id, role=Role.STUDY_ADMIN) for person, _ in people
            )
            db.session.add_all(rows)
        db.session.commit()
        right, wrong = (sorted(times) for times in measure(server, [(p.username, secret) for p, secret in people]))
        hashed = hash_ms(people[0][0].password_hash)
    shown = {"right": percentiles(right), "wrong": percentiles(wrong)}
    figures = {f"{p}_ms_{name}": round(found[p], 1) for name, found in shown.items() for p in ("p50", "p95")}
    apart = round(shown["right"]["p50"] - hashed, 1)
    report("signing in", hash_ms=round(hashed, 1), server_ms_apart_from_hash=apart, **figures)


def with_second_factor(username: str) -> tuple[Researcher, str]:
    """An account with an app set up an hour ago, and the app's secret."""
    then = datetime.now(UTC) - timedelta(hours=1)
    person = create_researcher(
        db.session(), username, PASSWORD, is_site_admin=False, must_change_password=False, actor=SERVER
    )
    db.session.flush()
    secret = begin_totp(person, then)
    assert confirm_totp(db.session(), person, pyotp.TOTP(secret).at(then), then, actor=SERVER)
    return person, secret


def measure(server: BenchServer, people: list[tuple[str, str]]) -> tuple[list[float], list[float]]:
    """Times of right and of wrong sign-ins, in ms."""
    http, right, wrong = urllib3.PoolManager(), [], []
    for username, secret in people:
        for times, password, leads_to in ((right, PASSWORD, "/choose_study"), (wrong, "wrong", "/")):
            fields = {"username": username, "password": password, "mfa_code": pyotp.TOTP(secret).now()}
            begun = time.perf_counter()
            answer = http.request(
                "POST", f"{server.address}/validate_login", fields=fields, encode_multipart=False, redirect=False
            )
            times.append((time.perf_counter() - begun) * 1000)
            if answer.headers.get("Location") != leads_to:
                raise RuntimeError(f"{answer.status} {answer.headers.get('Location')}")
    return right, wrong


def hash_ms(stored: str) -> float:
    """The time to verify a password, in ms; the least of ten."""
    times = []
    for _ in range(10):
        begun = time.perf_counter()
        assert verify_password(PASSWORD, stored)
        times.append((time.perf_counter() - begun) * 1000)
    return min(times)


if __name__ == "__main__":
    main()
