"""The OpenAPI document, its page, and that the endpoints do as it says: schemathesis over a real socket."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from core.config import REPOSITORY
from core.models import Participant, Study
from tests.core.processing.test_batch import HEADER, process, queue
from tests.support.factories import Factory
from tests.support.gunicorn import gunicorn
from webapp.data_api.description.endpoints import ENDPOINTS, NOT_DESCRIBED

EXAMPLES = REPOSITORY / "docs" / "examples"
GPS = b"timestamp,latitude,longitude,altitude,accuracy\n1700002801000,42,-71,3,11"
# Not whether a valid request is taken: fields that depend on each other, as study_id and study_pk, and the codes of
# wrong keys, which old programs know, are beyond a schema.
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture
def study(factory: Factory) -> Study:
    return factory.study("Sleep and movement")


@pytest.fixture
def participant(factory: Factory, study: Study) -> Participant:
    participant = factory.participant(study)
    queue(factory, participant, "accel/1700002800000.csv", HEADER + b"1700002801000,3,1,1,1")
    queue(factory, participant, "gps/1700002800000.csv", GPS)
    assert not process().failures
    return participant


@pytest.fixture
def key(factory: Factory, study: Study) -> dict[str, str]:
    return factory.api_key(factory.researcher(study=study))


def test_every_endpoint_is_described(app: Flask):
    """The document names each path of the data API, and nothing else."""
    views = {
        rule.endpoint.partition(".")[2] for rule in app.url_map.iter_rules() if rule.endpoint.startswith("data_api.")
    }
    assert views == {*ENDPOINTS, *NOT_DESCRIBED}
    document = app.test_client().get("/data-api/openapi.json").json
    assert document["openapi"] == "3.1.0"
    assert "/get-users/v1" in document["paths"]
    assert document["paths"]["/get-users/v1"]["post"]["deprecated"]
    assert document["paths"]["/get-data/v3/objects/{study_id}/{number}"]["get"]["responses"]["412"]
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert references <= set(document["components"]["schemas"])


def test_the_page_shows_it_without_anything_from_elsewhere(app: Flask):
    page = app.test_client().get("/data-api").text
    for name in ENDPOINTS:
        assert f'id="{name}"' in page
    assert "DATA_STREAMS" not in page
    assert not re.findall(r"<script(?![^>]*src=\"/static)", page)
    assert not re.findall(r'(?:src|href)="https?://', page)
    assert " style=" not in page


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    with gunicorn() as address:
        yield address


@pytest.mark.parametrize("cases", [6, pytest.param(150, marks=[pytest.mark.long, pytest.mark.timeout(1_800)])])
def test_no_request_finds_a_fault(
    address: str, study: Study, participant: Participant, key: dict[str, str], cases: int
):
    """No answer is 5xx, of a status, a content type or a shape that the document does not have (DATA-1, DATA-60)."""
    schema = schemathesis.openapi.from_url(f"{address}/data-api/openapi.json")
    config = hypothesis.settings(
        max_examples=cases,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    asked = 0
    for result in schema.get_all_operations():
        operation = result.ok()

        @config
        @hypothesis.given(
            case=operation.as_strategy(generation_mode=mode) if (mode := None) else operation.as_strategy()
        )
        def ask(case: Any) -> None:
            nonlocal asked
            asked += 1
            with_a_right_key(case, study, participant, key, asked)
            case.call_and_validate(timeout=60, checks=CHECKS)

        ask()
    assert asked >= cases * len(ENDPOINTS) / 2


def with_a_right_key(case: Any, study: Study, participant: Participant, key: dict[str, str], number: int) -> None:
    """All requests but eight have a right key: others are refused at once, and after ten wrong ones delayed."""
    if number % 40 == 0 and number <= 8 * 40:
        return
    if isinstance(case.body, dict):
        case.body |= key
        for name, value in (("study_id", study.object_id), ("participant_id", participant.patient_id)):
            if name in case.body or number % 2:
                case.body[name] = value
    else:
        case.headers = {**(case.headers or {})} | {
            "X-Access-Key-Id": key["access_key"],
            "X-Access-Key-Secret": key["secret_key"],
        }
        for part in (case.path_parameters, case.query):
            if part and "study_id" in part:
                part["study_id"] = study.object_id


@pytest.mark.parametrize("name", ["download.sh", "download.py", "download.R"])
def test_the_examples_run(
    address: str, study: Study, participant: Participant, key: dict[str, str], tmp_path: Path, name: str
):
    """Python, R and curl, as the page shows them."""
    if name.endswith(".R") and not shutil.which("Rscript"):
        pytest.skip("R is not installed")
    program = {"sh": "sh", "py": str(REPOSITORY / ".venv" / "bin" / "python"), "R": "Rscript"}[name.rpartition(".")[2]]
    given = {
        "PATH": os.environ["PATH"],
        "BEIWE_URL": address,
        "BEIWE_STUDY": study.object_id,
        "BEIWE_ACCESS_KEY": key["access_key"],
        "BEIWE_SECRET_KEY": key["secret_key"],
    }
    command = [program, str(EXAMPLES / name)]
    ran = subprocess.run(command, cwd=tmp_path, env=given, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    assert participant.patient_id in ran.stdout
    assert "latitude" in ran.stdout
