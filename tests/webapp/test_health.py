"""The health endpoints for load balancers and operators."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from core.database import db
from core.models import ProcessingStatus


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_process_says_that_it_is_up(app: Flask, slash: str):
    """OPS-32."""
    answer = app.test_client().get(f"/healthz{slash}")
    assert (answer.status_code, answer.text) == (200, "ok")


@pytest.mark.parametrize(("minutes", "status"), [(19, 200), (21, 500)])
def test_processing_that_has_not_ended_a_run_for_twenty_minutes_is_an_alarm(app: Flask, minutes: int, status: int):
    """OPS-31."""
    db.session.add(ProcessingStatus(id=1, last_run_at=datetime.now(UTC) - timedelta(minutes=minutes)))
    db.session.commit()
    answer = app.test_client().get("/background_processing_status")
    assert (answer.status_code, answer.data) == (status, b"")
