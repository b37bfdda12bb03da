"""The phones' endpoints under any bytes: 500 requests in the suite, 20,000 by `make fuzz`, as FUZZ_CASES says."""

import json
import os
import time
from pathlib import Path

import pytest
from flask import Flask
from limits import RateLimitItemPerMinute

from core.config import get_settings
from tests.fuzz.dice import Dice
from tests.fuzz.requests import request_of
from tests.fuzz.watch import Watch
from webapp.phone import blueprint, forms

CASES = int(os.environ.get("FUZZ_CASES", "500"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
MOST_FINDINGS = 20
LARGE_BODY_BYTES = 1_500  # so that about half of the uploads go the way of large ones


def test_whatever_is_sent_gets_an_answer_of_the_specification_and_nothing_acknowledged_is_lost(
    app: Flask, monkeypatch: pytest.MonkeyPatch
):
    """PHONE-2, PHONE-9, PHONE-20, PHONE-21, PHONE-63, PHONE-64, PHONE-65, PHONE-68, PHONE-69, PHONE-81, PHONE-84.

    What is found does not end the run; each finding names its request, and the number that makes it again.
    """
    for limit in ("REQUESTS", "WRONG_PASSWORDS"):
        monkeypatch.setattr(blueprint, limit, RateLimitItemPerMinute(10**9))
    monkeypatch.setattr(forms, "MOST_BYTES_IN_MEMORY", LARGE_BODY_BYTES)
    started = time.perf_counter()
    watch = Watch(app, get_settings().database_url.get_secret_value())
    patient_ids = [participant.patient_id for participant in watch.participants]
    for number in range(CASES):
        watch.send(request_of(Dice(f"{SEED} {number}"), patient_ids))
        if len(watch.findings) >= MOST_FINDINGS:
            break
    watch.close()
    report(watch, time.perf_counter() - started)
    assert watch.findings == []


def report(watch: Watch, seconds: float) -> None:
    """Leaves the figures where `python -m tests.fuzz` asked for them."""
    if not (file := os.environ.get("FUZZ_REPORT")):
        return
    by_endpoint: dict[str, dict[str, int]] = {}
    for (endpoint, status), times in sorted(watch.answers.items()):
        by_endpoint.setdefault(endpoint, {})[str(status)] = times
    figures = {
        "seed": SEED,
        "cases": watch.sent,
        "findings": len(watch.findings),
        "seconds": round(seconds, 1),
        "answers": by_endpoint,
        "ends": dict(sorted(watch.ends.items())),
    }
    Path(file).write_text(json.dumps(figures))
