"""`/metrics`: who may read it, and what it says."""

import re
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import urllib3
from flask import Flask
from pydantic import SecretStr

from core.config import REPOSITORY, ConfigurationError, Settings, load_settings
from core.database import db
from core.models import ProcessingStatus, QueuedUpload, QueueState
from core.operations.tallies import Counted, Integrity, add_tallies
from ops import shared_counts
from tests.core.processing.test_batch import HEADER, process, queue
from tests.support.factories import Factory, phone_fields
from tests.support.gunicorn import gunicorn_on
from webapp import create_app
from webapp.metrics import web_counts, work_figures
from webapp.serving.lanes import threads_of_a_process

TOKEN = "a token of the tests"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
SAMPLE = re.compile(r"^(beiwe_\w+(?:{[^}]*})?) (\S+)$", re.MULTILINE)


@pytest.fixture
def measured(app: Flask, settings: Settings) -> Flask:
    """The application with a token."""
    app.extensions["beiwe_settings"] = settings.model_copy(update={"metrics_token": SecretStr(TOKEN)})
    return app


def samples(text: str) -> dict[str, float]:
    """Values by name and labels as written."""
    return {name: float(value) for name, value in SAMPLE.findall(text)}


def read(app: Flask) -> dict[str, float]:
    answer = app.test_client().get("/metrics", headers=AUTHORIZED)
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain")
    return samples(answer.text)


def upload(app: Flask, factory: Factory, name: str = "gps_1717236000000.csv", **fields: str) -> int:
    participant = factory.participant()
    form = phone_fields(participant, file_name=f"{participant.patient_id}_{name}", file="x", **fields)
    return app.test_client().post("/upload", data=form).status_code


def test_without_configuration_there_is_no_such_page(app: Flask):
    """OPS-32."""
    assert app.test_client().get("/metrics", headers=AUTHORIZED).status_code == 404


def test_a_token_opens_it_and_nothing_else_does(measured: Flask):
    """OPS-32."""
    client = measured.test_client()
    assert client.get("/metrics", headers=AUTHORIZED).status_code == 200
    for given in ("", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer ä", TOKEN):
        answer = client.get("/metrics", headers={"Authorization": given} if given else {})
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), given
        assert "beiwe_" not in answer.text


@pytest.mark.parametrize(
    ("address", "status"),
    [("10.1.2.3", 200), ("::ffff:10.1.2.3", 200), ("fd00::7", 200), ("11.1.2.3", 403), ("fe80::1", 403), ("", 403)],
)
def test_a_network_opens_it(app: Flask, settings: Settings, address: str, status: int):
    """OPS-32."""
    app.extensions["beiwe_settings"] = settings.model_copy(update={"metrics_networks": "10.0.0.0/8, fd00::/8"})
    answer = app.test_client().get("/metrics", environ_overrides={"REMOTE_ADDR": address})
    assert answer.status_code == status


def test_behind_the_proxy_its_clients_address_counts_not_its_own(settings: Settings):
    """OPS-32: the proxy is in the private network, the internet behind it is not."""
    values = {
        "environment": "production",
        "trusted_proxy_hops": 1,
        "domain_name": "beiwe.example.org",
        "flask_secret_key": SecretStr("x" * 40),
        "metrics_networks": "10.0.0.0/8",
    }
    client = create_app(settings.model_copy(update=values)).test_client()
    peer = {"REMOTE_ADDR": "10.0.0.1"}
    assert client.get("/metrics", environ_overrides=peer).status_code == 200
    forwarded = client.get("/metrics", environ_overrides=peer, headers={"X-Forwarded-For": "10.0.0.9, 198.51.100.7"})
    assert forwarded.status_code == 403


def test_networks_that_are_none_keep_the_server_from_starting(monkeypatch: pytest.MonkeyPatch):
    """OPS-2: the variable is named."""
    for wrong in ("10.0.0.0/8,private", "10.0.0.1/8"):
        monkeypatch.setenv("METRICS_NETWORKS", wrong)
        with pytest.raises(ConfigurationError, match=r"METRICS_NETWORKS: .*networks like"):
            load_settings()


def test_requests_of_phones_are_counted_by_endpoint_and_status(measured: Flask, factory: Factory):
    """OPS-32."""
    before = read(measured)
    measured.test_client().post("/get_latest_device_settings/ios", data=phone_fields(factory.participant()))
    measured.test_client().post("/get_latest_device_settings", data={"patient_id": "nobody11"})
    measured.test_client().get("/healthz")
    after = read(measured)
    grown = {name: after[name] - before.get(name, 0) for name in after if name.startswith("beiwe_phone_requests_total")}
    assert {name: by for name, by in grown.items() if by} == {
        'beiwe_phone_requests_total{endpoint="get_latest_device_settings",status="200"}': 1,
        'beiwe_phone_requests_total{endpoint="get_latest_device_settings",status="403"}': 1,
    }


def test_uploads_are_counted_by_answer_with_bytes_and_time(measured: Flask, factory: Factory):
    """OPS-32."""
    before = read(measured)
    assert upload(measured, factory) == 200  # no key opens it
    assert upload(measured, factory, password="wrong" * 4) == 200  # a password does not count here
    assert upload(measured, factory, patient_id="nobody11") == 403
    after = read(measured)

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert grown('beiwe_uploads_total{answer="not admitted",status="403"}') == 1
    by_answer = [name for name in after if name.startswith("beiwe_uploads_total") and 'status="200"' in name]
    assert sum(map(grown, by_answer)) == 2
    assert not any("other" in name for name in by_answer)
    assert grown('beiwe_upload_bytes_total{answer="not admitted"}') > 100
    assert grown("beiwe_upload_seconds_count") == 3
    assert 0 < grown("beiwe_upload_seconds_sum") < 3 * 15


def test_the_queue_is_shown_with_its_oldest_file(measured: Flask, factory: Factory):
    """OPS-32: failed files do not count as waiting."""
    empty = read(measured)
    assert empty['beiwe_upload_queue_files{state="waiting"}'] == empty["beiwe_upload_queue_oldest_seconds"] == 0
    participant = factory.participant()
    for ms in (1700002800000, 1700006400000, 1700010000000):
        queue(factory, participant, f"accel/{ms}.csv", HEADER)
    rows = db.session.scalars(db.select(QueuedUpload).order_by(QueuedUpload.path)).all()
    rows[0].received_at = datetime.now(UTC) - timedelta(hours=1)
    rows[1].state, rows[1].received_at = QueueState.FAILED.value, datetime.now(UTC) - timedelta(days=9)
    db.session.commit()
    now = read(measured)
    assert now['beiwe_upload_queue_files{state="waiting"}'] == 2
    assert now['beiwe_upload_queue_files{state="failed"}'] == 1
    assert 3600 <= now["beiwe_upload_queue_oldest_seconds"] < 3660


def test_work_of_other_processes_is_shown(measured: Flask, factory: Factory):
    """OPS-32: chunks, files, dropped rows, flow runs, notifications, the last run."""
    nothing = read(measured)
    assert nothing["beiwe_chunks_written_total"] == nothing["beiwe_files_processed_total"] == 0
    assert not any(name.startswith("beiwe_notifications") for name in nothing)
    row = b"1700002801000,3,1,1,1\nnot a time,3,1,1,1"
    queue(factory, factory.participant(), "accel/1700002800000.csv", HEADER + row)
    report = process()
    add_tallies(db.session(), {Counted.FLOW_RUNS: {"run-forest/failed": 2}})
    add_tallies(db.session(), {Counted.NOTIFICATIONS: {"sent": 5}})
    db.session.commit()
    now = read(measured)
    assert now["beiwe_chunks_written_total"] == now["beiwe_files_processed_total"] == 1
    (reason,) = report.rows_dropped
    assert now[f'beiwe_rows_dropped_total{{reason="{reason}"}}'] == 1
    assert now['beiwe_flow_runs_total{flow="run-forest",state="failed"}'] == 2
    assert now['beiwe_notifications_total{outcome="sent"}'] == 5
    last_run = db.session.scalars(db.select(ProcessingStatus.last_run_at)).one()
    assert last_run and now["beiwe_last_processing_run_timestamp_seconds"] == pytest.approx(last_run.timestamp())


def test_objects_that_are_missing_or_damaged_are_shown_by_kind_and_from_zero_on(measured: Flask):
    """OPS-32: an alarm on their increase must see the first one."""
    nothing = read(measured)
    assert all(nothing[f'beiwe_integrity_failures_total{{kind="{kind}"}}'] == 0 for kind in Integrity)
    add_tallies(db.session(), {Counted.INTEGRITY_FAILURES: {Integrity.CHUNK: 1}})
    db.session.commit()
    now = read(measured)
    assert [kind for kind in Integrity if now[f'beiwe_integrity_failures_total{{kind="{kind}"}}']] == [Integrity.CHUNK]


def test_the_pools_use_is_shown(measured: Flask, settings: Settings):
    """OPS-32."""
    db.session.remove()
    assert read(measured)["beiwe_database_pool_size"] == threads_of_a_process(settings.web_threads)
    with db.engine.connect(), db.engine.connect():
        assert web_counts.pool_checked_out._value.get() == 2
    assert web_counts.pool_checked_out._value.get() == 0


def test_a_database_that_is_down_takes_its_own_figures_away_and_no_others(settings: Settings):
    """OPS-32."""
    values = {"database_url": SecretStr("postgresql://u:p@127.0.0.1:1/beiwe"), "metrics_token": SecretStr(TOKEN)}
    now = read(create_app(settings.model_copy(update=values)))
    assert now["beiwe_database_up"] == 0
    assert "beiwe_database_pool_size" in now
    assert not any(name.startswith("beiwe_upload_queue") for name in now)


def test_a_question_that_takes_too_long_is_given_up(measured: Flask, monkeypatch: pytest.MonkeyPatch):
    """OPS-32, OPS-60: however long the queue is."""
    monkeypatch.setattr(work_figures, "MOST_MS", 1)
    monkeypatch.setattr(work_figures, "all_tallies", lambda session: session.scalar(db.select(db.func.pg_sleep(5))))
    started = time.monotonic()
    assert read(measured)["beiwe_database_up"] == 0
    assert time.monotonic() - started < 3


def test_no_label_is_a_persons_id(measured: Flask, factory: Factory):
    """OPS-32."""
    study = factory.study()
    participant = factory.participant(study)
    form = phone_fields(participant, file_name=f"{participant.patient_id}_gps_1717236000000.csv", file="x")
    measured.test_client().post("/upload", data=form)
    text = measured.test_client().get("/metrics", headers=AUTHORIZED).text
    for secret in (participant.patient_id, study.object_id, study.name):
        assert secret not in text
    assert set(re.findall(r'[{,](\w+)="', text)) <= {
        "endpoint",
        "status",
        "answer",
        "le",
        "state",
        "reason",
        "flow",
        "kind",
        "outcome",
    }


def test_every_figure_is_documented(measured: Flask):
    """OPS-32: docs/operating.md names each."""
    text = measured.test_client().get("/metrics", headers=AUTHORIZED).text
    shown = {name for name in re.findall(r"^# HELP (beiwe_\w+)", text, re.MULTILINE) if not name.endswith("_created")}
    documented = (REPOSITORY / "docs" / "operating.md").read_text()
    assert shown and [name for name in shown if f"`{name}" not in documented] == []


def test_counting_costs_a_phone_nothing_that_it_could_notice(measured: Flask):
    """OPS-32: well under 0.1 ms a request, the best of several tries on a busy machine."""
    answer = measured.response_class("upload successful.", 200)
    with measured.test_request_context("/upload", method="POST", data={"a": "b"}):
        measured.preprocess_request()

        def once() -> float:
            started = time.perf_counter()
            for _ in range(500):
                web_counts.count_phone_request(answer)
            return (time.perf_counter() - started) / 500

        assert min(once() for _ in range(5)) < 0.0001


@pytest.fixture
def gunicorn(settings: Settings, app: Flask) -> Iterator[tuple[str, psutil.Process]]:
    """Address and master of a real gunicorn with two processes, on this test's database."""
    with gunicorn_on(settings, WEB_WORKERS="2", METRICS_TOKEN=TOKEN) as (port, master):
        address = f"http://127.0.0.1:{port}"
        wait_for(lambda: len(master.children()) == 2 and len(processes(address)) == 2)
        yield address, master


def get(address: str, path: str, method: str = "GET") -> Any:
    """A request over a connection of its own, which any process may take."""
    headers = AUTHORIZED | {"Connection": "close"}
    return urllib3.request(method, address + path, headers=headers, retries=False, timeout=9)


def processes(address: str) -> set[str]:
    """The processes that have shown their pool."""
    try:
        return set(re.findall(r'beiwe_database_pool_size{pid="(\d+)"}', get(address, "/metrics").data.decode()))
    except urllib3.exceptions.HTTPError:
        return set()


def wait_for(is_so: Any) -> None:
    end = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_counters_add_up_over_all_processes_and_outlive_them(gunicorn: tuple[str, psutil.Process]):
    """OPS-32: whichever process is asked, also when one has ended and another has come."""
    address, master = gunicorn
    name = 'beiwe_phone_requests_total{endpoint="upload",status="403"}'

    def counted() -> float:
        return samples(get(address, "/metrics").data.decode()).get(name, 0)

    folder = next(Path(master.environ()["VAR_DIR"]).glob("web_counts"))
    sent = 0
    while sum(b"phone_requests" in file.read_bytes() for file in folder.glob("counter_[0-9]*.db")) < 2:
        with ThreadPoolExecutor(8) as threads:
            assert set(threads.map(lambda _: get(address, "/upload", "POST").status, range(40))) == {403}
        sent += 40
        assert sent < 2000
    assert {counted() for _ in range(10)} == {sent}
    first = master.children()[0]
    first.send_signal(signal.SIGTERM)
    wait_for(lambda: not (folder / f"counter_{first.pid}.db").exists() and len(processes(address)) == 2)
    assert str(first.pid) not in processes(address)
    assert {counted() for _ in range(10)} == {sent}
    assert samples(get(address, "/metrics").data.decode())["beiwe_upload_seconds_count"] == sent


def test_files_of_ended_processes_become_one(tmp_path: Path):
    """OPS-32: there are never more files than processes, and the counts in an unreadable file are not lost."""
    from prometheus_client.mmap_dict import MmapedDict

    folder = tmp_path / "counts"
    shared_counts.start_anew(folder)
    for process_id in (11, 12):
        shared_counts.reserve_files(folder, process_id)
        own = MmapedDict(str(folder / f"counter_{process_id}.db"))
        own.write_value('["a", "a_total", {}, ""]', 2.0, 0.0)
        own.close()
        shared_counts.add_up_ended(folder, process_id)
    assert sorted(file.name for file in folder.iterdir()) == ["counter_ended.db", "histogram_ended.db"]
    assert MmapedDict(str(folder / "counter_ended.db")).read_value('["a", "a_total", {}, ""]')[0] == 4.0
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "counter_ended.db").touch()  # a full disk
    shared_counts.reserve_files(folder, 13)
    with pytest.raises(OSError):
        shared_counts.add_up_ended(folder, 13)
    assert (folder / "counter_13.db").exists()


def test_sign_ins_are_counted_by_outcome(measured: Flask):
    """OPS-32: an alarm sees guessing, also of names that no account has."""
    before = read(measured)
    for _ in range(3):
        measured.test_client().post("/validate_login", data={"username": "nobody", "password": "x"})
    name = 'beiwe_sign_ins_total{outcome="unknown_name"}'
    assert read(measured)[name] - before[name] == 3
    assert before['beiwe_sign_ins_total{outcome="locked"}'] == 0
