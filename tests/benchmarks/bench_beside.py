"""Uploads beside clients that make very many requests: `python -m tests.benchmarks.bench_beside`.

Prints a JSON line for uploads alone and one for each kind of other clients: time from the request to its answer (p50,
p95, longest, ms), how many were sent, and which answers the others got. Eight phones send a file of 94 KB each second;
at the end it checks that every acknowledged upload is in the queue (CLAR-9).
"""

import json
import subprocess
import sys
import threading
import time
from typing import Any

import urllib3

from core.access import Role
from core.accounts import create_api_key, create_researcher, new_password
from core.audit import SERVER
from core.config import REPOSITORY
from core.database import db
from core.models import QueuedUpload, StudyRole
from ops.phones import Ledger, Phone, Platform, Transport
from ops.phones.load import Prepared, prepare
from ops.phones.report import percentiles
from tests.benchmarks.bench_get_data import store_chunks
from tests.benchmarks.measure import report
from tests.benchmarks.serving import BenchServer, serving, study_with_participants

PHONES, FILE_BYTES, EVERY_SECONDS, SECONDS = 8, 94_000, 1.0, 20
READY_SECONDS = 3.0
OTHERS = {
    "wrong_keys": 40,
    "wrong_secrets": 40,
    "stopping_readers": 50,
    "silent": 100,
    "viewers": 100,
}


def main() -> None:
    """Runs the benchmark; raises when an acknowledged upload is not queued."""
    with serving() as server:
        study, participants = study_with_participants(PHONES + 1)
        store_chunks(study, participants[-1].patient_id, 3)
        researcher = create_researcher(
            db.session(),
            "viewer",
            password := new_password(),
            is_site_admin=False,
            must_change_password=False,
            actor=SERVER,
        )
        db.session.flush()
        db.session.add(StudyRole(study_id=study.id, researcher_id=researcher.id, role=Role.STUDY_RESEARCHER))
        access_key, secret_key = create_api_key(db.session(), researcher, "benchmark", actor=SERVER)
        db.session.commit()
        key = {"access_key": access_key, "secret_key": secret_key}
        options: dict[str, dict[str, Any]] = {
            "wrong_keys": {},
            "wrong_secrets": {"access_key": access_key},
            "stopping_readers": key | {"study_id": study.object_id},
            "silent": {},
            "viewers": {"cookie": cookie_of(server, password), "pages": [f"/view_study/{study.id}/participants"]},
        }
        transport, ledger = Transport(server.address, connections=PHONES), Ledger()
        phones = [
            Phone(new.patient_id, new.password, tuple(Platform)[n % 2], transport, seed=n, ledger=ledger)
            for n, new in enumerate(participants[:PHONES])
        ]
        for phone in phones:
            phone.register()
        rounds = [prepare(phone, (len(OTHERS) + 2) * SECONDS, FILE_BYTES) for phone in phones]
        run(transport, take(rounds, SECONDS))
        alone = run(transport, take(rounds, SECONDS))
        report("uploads alone", **figures(alone))
        for kind, count in OTHERS.items():
            others = start(server, kind, options[kind] | {"count": count})
            time.sleep(READY_SECONDS)
            beside = run(transport, take(rounds, SECONDS))
            heard = {f"others_heard_{what}": times for what, times in json.loads(others.communicate()[0]).items()}
            if kind == "viewers" and set(heard) != {"others_heard_200"}:
                raise RuntimeError(f"the viewers saw no pages: {heard}")
            times = percentiles(beside)["p95"] / percentiles(alone)["p95"]
            report(f"uploads beside {count} {kind}", **figures(beside), p95_times_alone=times, **heard)
        db.session.rollback()
        queued = db.session.scalar(
            db.select(db.func.count()).select_from(QueuedUpload).where(QueuedUpload.size_bytes > 1000)
        )
        if queued != ledger.files:
            raise RuntimeError(f"{ledger.files} uploads were acknowledged and {queued} are queued")
        transport.close()


def take(rounds: list[list[Prepared]], seconds: int) -> list[list[Prepared]]:
    """The next uploads of each phone for so many seconds."""
    return [[own.pop(0) for _ in range(int(seconds / EVERY_SECONDS))] for own in rounds]


def run(transport: Transport, uploads: list[list[Prepared]]) -> list[float]:
    """Sends each phone's uploads at its pace; times to the answers, in ms. Raises for any answer but 200."""
    latencies: list[float] = []

    def phone_sends(own: list[Prepared], first: float) -> None:
        for number, upload in enumerate(own):
            time.sleep(max(0.0, first + number * EVERY_SECONDS - time.monotonic()))
            answer = transport.post(upload.phone.platform, "upload", upload.body, upload.content_type)
            if not upload.phone.settle(upload.pending, answer):
                raise RuntimeError(f"an upload was answered {answer.status} {answer.body!r} {answer.error}")
            latencies.append(answer.latency_ms)

    begin = time.monotonic()
    threads = [
        threading.Thread(target=phone_sends, args=(own, begin + n * EVERY_SECONDS / len(uploads)))
        for n, own in enumerate(uploads)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(latencies) != sum(map(len, uploads)):
        raise RuntimeError("not every upload was acknowledged")
    return latencies


def figures(latencies: list[float]) -> dict[str, float]:
    """What is printed of them."""
    found = percentiles(latencies)
    return {"uploads": len(latencies), "p50_ms": found["p50"], "p95_ms": found["p95"], "longest_ms": max(latencies)}


def start(server: BenchServer, kind: str, options: dict[str, Any]) -> "subprocess.Popen[str]":
    """The others, in a process of their own."""
    seconds = READY_SECONDS + SECONDS + 2
    command = [
        sys.executable,
        "-m",
        "tests.support.disturbers",
        kind,
        str(server.settings.port),
        str(seconds),
        json.dumps(options),
    ]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)


def cookie_of(server: BenchServer, password: str) -> str:
    """The cookies of a signed-in researcher."""
    fields = {"username": "viewer", "password": password}
    return cookies_in(urllib3.request("POST", f"{server.address}/validate_login", fields=fields, redirect=False))


def cookies_in(answer: urllib3.BaseHTTPResponse) -> str:
    """The cookies that an answer sets, as a browser sends them back."""
    return "; ".join(cookie.partition(";")[0] for cookie in answer.headers.getlist("Set-Cookie"))


if __name__ == "__main__":
    main()
