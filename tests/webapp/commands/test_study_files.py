"""`study export` and `study import`, in processes of their own (SURVEY-55)."""

import json
from pathlib import Path

import pytest
from flask import Flask

from core.models import Study
from tests.support.commands import command, run_command
from tests.support.factories import Factory
from tests.support.paths import VECTORS

CURRENT = VECTORS / "surveys" / "export_current.json"


@pytest.fixture
def study(app: Flask, factory: Factory) -> Study:
    return factory.study()


def test_a_file_is_previewed_imported_and_exported(study: Study, tmp_path: Path):
    """SURVEY-50, SURVEY-55: without a tick, settings and surveys."""
    plan = command("study", "import", study.object_id, str(CURRENT), "--dry-run")
    assert plan["surveys"] and plan["settings"] and plan["errors"] == [] and plan["timezone"] is None
    assert json.loads(run_command("study", "export", study.object_id).stdout)["surveys"] == []
    done = command("study", "import", study.object_id, str(CURRENT))
    assert done["surveys"] == len(plan["surveys"])
    exported = json.loads(run_command("study", "export", study.object_id).stdout)
    wanted = json.loads(CURRENT.read_text())
    assert exported == wanted | {"study_time_zone": "America/New_York"}
    again = command("study", "import", study.object_id, str(CURRENT), "--settings", "--timezone")
    assert (again["surveys"], again["settings"]) == (0, 0)


@pytest.mark.parametrize("name", ["export_bad", "export_malformed", "export_truncated"])
def test_a_wrong_file_is_one_line_and_changes_nothing(study: Study, name: str):
    """SURVEY-53."""
    before = run_command("study", "export", study.object_id).stdout
    refused = run_command("study", "import", study.object_id, str(VECTORS / "surveys" / f"{name}.json"))
    assert refused.returncode == 1 and refused.stdout == "" and refused.stderr.count("\n") == 1
    assert run_command("study", "export", study.object_id).stdout == before


def test_a_dry_run_of_a_wrong_file_names_each_place(study: Study):
    """SURVEY-53."""
    file = str(VECTORS / "surveys" / "export_bad.json")
    shown = run_command("study", "import", study.object_id, file, "--dry-run", "--json")
    places = {told["place"] for told in json.loads(shown.stdout)["errors"]}
    assert shown.returncode == 1 and {"surveys[0].timings", "surveys[1].survey_type"} <= places


def test_a_missing_file_or_study_is_one_line(study: Study):
    for arguments in ([study.object_id, "/no/such/file"], ["nobody", str(CURRENT)]):
        refused = run_command("study", "import", *arguments)
        assert refused.returncode == 1 and refused.stderr.startswith("Error: ")
