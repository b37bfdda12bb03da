"""`reprocess-study` and `audit-data` on the command line (OPS-20)."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from tests.core.operations.test_data_audit import add_chunk
from tests.core.processing.test_batch import HEADER, process, queue
from tests.support.factories import Factory


@pytest.fixture
def run(app: Flask):
    def run(*arguments: str, fails: bool = False) -> Any:
        result: Result = app.test_cli_runner().invoke(args=[*arguments, "--json"])
        if fails:
            assert (result.exit_code, len(result.stderr.strip().splitlines())) == (1, 1)
            return result.stderr
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return run


def test_chunks_are_made_anew(run, app: Flask, factory: Factory):
    """OPS-20, OPS-23: without a Prefect server; what is wrong with the options is one line."""
    participant = factory.participant()
    study_id, patient_id = participant.study.object_id, participant.patient_id
    queue(factory, participant, "accel/1700002800000.csv", HEADER + b"1700002801000,3,1,1,1")
    process()
    done = run("reprocess-study", study_id, "--participant", patient_id, "--start", "2023-11-14T23:00", "--dry-run")
    assert (done["is_finished"], done["findings"]) == (True, [])
    assert [(s["stream"], s["raw_files"], s["equal"]) for s in done["streams"]] == [("accelerometer", 1, 1)]
    lines = app.test_cli_runner().invoke(args=["reprocess-study", study_id, "--stream", "accelerometer"]).stdout
    assert "stream: accelerometer  raw_files: 1" in lines
    assert "no study" in run("reprocess-study", "A" * 24, fails=True)
    assert "is not a time" in run("reprocess-study", study_id, "--end", "tomorrow", fails=True)
    assert "full hours" in run("reprocess-study", study_id, "--end", "2023-11-14T23:30", fails=True)


def test_data_is_audited(run, app: Flask, factory: Factory):
    """OPS-20, OPS-23."""
    participant = factory.participant()
    study_id = participant.study.object_id
    queue(factory, participant, "accel/1700002800000.csv", HEADER)
    add_chunk(participant, datetime(1990, 1, 1, tzinfo=UTC))
    found = run("audit-data", "--study", study_id)
    assert (found["counts"][0]["impossible_rows"], found["counts"][0]["removed_rows"]) == (1, 0)
    assert found["queue"][0]["oldest_waiting"].endswith("+00:00")
    assert {finding["what"] for finding in found["found"]} == {"from an impossible time", "no stored-object row"}
    assert "removed_rows: 2" in app.test_cli_runner().invoke(args=["audit-data", "--fix"]).stdout
    assert "no study" in run("audit-data", "--study", "A" * 24, fails=True)
