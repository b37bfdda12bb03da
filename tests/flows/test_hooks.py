"""What happens when a run ends: it is counted, and somebody is told of a failure (OPS-32)."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from uuid import uuid4

import pytest
from flask import Flask
from prefect import flow
from prefect.client.schemas.objects import FlowRun
from prefect.states import Crashed

from core.config import get_settings
from core.database import db
from core.operations.tallies import Integrity, all_tallies
from core.processing.report import ProcessingReport
from flows import process_participants
from flows.hooks import HOOKS


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, str]]]:
    """What arrives at ALERT_URL."""
    arrived: list[dict[str, str]] = []

    class Ear(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            arrived.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Ear)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("ALERT_URL", f"http://127.0.0.1:{server.server_port}/hook")
    get_settings.cache_clear()
    yield arrived
    server.shutdown()
    thread.join(5)


@flow(name="breaks", **HOOKS)
def breaks() -> None:
    raise ValueError("what it worked on")


@flow(name="works", **HOOKS)
def works() -> None:
    pass


def test_a_failure_is_told_and_counted_and_a_success_only_counted(
    prefect: None, app: Flask, told: list[dict[str, str]]
):
    """OPS-32; and OPS-21: the alert says which run it was, not what it worked on."""
    works()
    with pytest.raises(ValueError, match="what it worked on"):
        breaks()
    assert len(told) == 1
    assert told[0]["text"].startswith("breaks: the run ")
    assert "what it worked on" not in told[0]["text"]
    assert all_tallies(db.session()) == {("flow_runs", "breaks/failed"): 1, ("flow_runs", "works/completed"): 1}


def test_a_killed_run_is_told_and_counted_as_prefects_worker_does_it(app: Flask, told: list[dict[str, str]]):
    """OPS-32: it gives hooks their arguments by name, not by position as a run does that ends by itself."""
    run = FlowRun(id=uuid4(), name="killed", flow_id=uuid4())
    for hook in HOOKS["on_crashed"]:
        hook(flow=breaks, flow_run=run, state=Crashed(message="Process exited with status code: -9."))
    assert told[0]["text"].startswith("breaks: the run killed ended as Crashed.")
    assert all_tallies(db.session()) == {("flow_runs", "breaks/crashed"): 1}


def test_an_address_that_does_not_answer_changes_nothing(prefect: None, app: Flask, monkeypatch: pytest.MonkeyPatch):
    """OPS-32: the run's own state stays, and it is counted."""
    monkeypatch.setenv("ALERT_URL", "http://127.0.0.1:9/hook")
    get_settings.cache_clear()
    with pytest.raises(ValueError, match="what it worked on"):
        breaks()
    assert all_tallies(db.session()) == {("flow_runs", "breaks/failed"): 1}


MET = Counter({Integrity.RAW_DAMAGED: 2, Integrity.CHUNK: 1, Integrity.RAW_MISSING: 0})


@pytest.mark.parametrize("ends_well", [True, False])
def test_damaged_objects_are_told_of_once_in_words_of_their_own_however_the_run_ends(
    prefect: None, app: Flask, told: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch, ends_well: bool
):
    """OPS-32: how many of which kind, and where to look; OPS-21: not whose."""
    defects = [] if ends_well else [ValueError("a defect")]
    report = ProcessingReport(files=3, failures={"s/patient1/gps/1.csv": "altered"}, integrity=MET)
    monkeypatch.setattr(process_participants, "process", lambda *_: (report, defects))
    process_participants.process_participants(return_state=True)
    of_integrity, *others = (message["text"] for message in told)
    assert of_integrity.startswith("INTEGRITY, process-participants: the run process participants ")
    assert "damaged: 1 chunk, 2 raw damaged. " in of_integrity
    assert "failed-uploads" in of_integrity and "patient1" not in of_integrity
    assert [text.partition(":")[0] for text in others] == ([] if ends_well else ["process-participants"])


def test_a_run_that_met_no_damaged_object_tells_nobody(
    prefect: None, app: Flask, told: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
):
    """OPS-32: a file of an unknown stream fails, and is nothing to be alarmed about."""
    report = ProcessingReport(files=1, failures={"s/patient1/gps/1.csv": "unknown stream"})
    monkeypatch.setattr(process_participants, "process", lambda *_: (report, []))
    assert process_participants.process_participants()["integrity"] == 0
    assert told == []
