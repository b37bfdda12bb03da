"""`flask device decrypt` and `flask chunks build`: they need neither database nor server."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from tests.support.paths import DEVICE_FILES, REPOSITORY, VECTORS
from webapp.commands import COMMANDS
from webapp.commands.chunks import chunks_commands
from webapp.commands.device import device_commands
from webapp.commands.surveys import surveys_commands

PRIVATE_KEY = str(DEVICE_FILES / "test_private_key.pem")


def run(*args: str) -> Result:
    app = Flask("commands_alone")
    app.cli.add_command(device_commands)
    app.cli.add_command(chunks_commands)
    app.cli.add_command(surveys_commands)
    return app.test_cli_runner().invoke(args=args)


def test_a_device_file_comes_out_byte_for_byte() -> None:
    result = run(
        "device", "decrypt", "--private-key", PRIVATE_KEY, str(DEVICE_FILES / "encrypted/android_voice_mp4.enc")
    )
    assert result.exit_code == 0
    assert result.stdout_bytes == (DEVICE_FILES / "plaintext/android_voice_mp4.bin").read_bytes()


def test_lines_left_out_are_told_on_standard_error() -> None:
    file = DEVICE_FILES / "encrypted/middle_line_short_data.enc"
    result = run("device", "decrypt", "--private-key", PRIVATE_KEY, str(file))
    assert result.exit_code == 0
    assert result.stderr == "2 of 7 lines were left out: LINE_EMPTY\n"


@pytest.mark.parametrize("file", ["plain_csv.enc", "empty_file.enc", "no_such_file.enc"])
def test_a_file_that_gives_nothing_is_one_line_and_status_1(file: str) -> None:
    result = run("device", "decrypt", "--private-key", PRIVATE_KEY, str(DEVICE_FILES / "encrypted" / file))
    assert (result.exit_code, result.stdout_bytes) == (1, b"")
    assert result.stderr.count("\n") == 1


def test_a_key_that_is_none_is_one_line_and_status_1(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("nonsense")
    file = DEVICE_FILES / "encrypted/android_gps.enc"
    result = run("device", "decrypt", "--private-key", str(tmp_path / "key.pem"), str(file))
    assert (result.exit_code, result.stdout_bytes, result.stderr.count("\n")) == (1, b"", 1)


def test_chunks_of_earlier_runs_are_carried_over(tmp_path: Path) -> None:
    case = VECTORS / "chunks/surveyTimings-ios-two-surveys"
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    assert run("chunks", "build", "--os", "IOS", "--out", first, str(case / "input/batch1")).exit_code == 0
    batch2 = str(case / "input/batch2")
    assert run("chunks", "build", "--os", "IOS", "--existing", first, "--out", second, batch2).exit_code == 0
    registry = json.loads((tmp_path / "second/registry.json").read_text())
    assert registry == json.loads((case / "manifest.json").read_text())["registry"]


def test_a_missing_folder_is_one_line_and_status_1(tmp_path: Path) -> None:
    result = run("chunks", "build", "--os", "IOS", "--out", str(tmp_path), str(tmp_path / "nowhere"))
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)


BIN = Path(sys.executable).parent


def test_commands_over_files_load_no_models(tmp_path: Path):
    """The contract: each starts in about a second, as `beiwe …` from any folder and as `flask --app webapp …`."""
    code = "import sys; from webapp.commands.main import main; sys.argv = ['beiwe', 'device', '--help']\n"
    code += "try: main()\nfinally: assert 'core.models' not in sys.modules"
    for command, folder in (
        ([sys.executable, "-c", code], REPOSITORY),
        ([BIN / "flask", "--app", "webapp", "device", "--help"], REPOSITORY),
        ([BIN / "beiwe", "device", "--help"], tmp_path),
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder)
        assert done.returncode == 0 and "decrypt" in done.stdout, done.stderr


def test_every_command_is_found_and_helps(app: Flask):
    """Each name leads to a command; Flask's own are there beside them."""
    runner = app.test_cli_runner()
    listed = runner.invoke(args=["--help"]).output
    for name in COMMANDS:
        assert f"  {name} " in listed
        assert runner.invoke(args=[name, "--help"]).exit_code == 0
    routes = subprocess.run([BIN / "beiwe", "routes"], capture_output=True, text=True, timeout=60)
    assert "phone.upload" in routes.stdout, routes.stderr


def test_an_argument_that_is_a_commands_name_changes_nothing():
    """A program may call the application's factory whatever its arguments are."""
    code = "import sys; sys.argv = ['a program', 'schedules']; from webapp import create_app; app = create_app();"
    code += "assert 'phone.upload' in app.view_functions"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=REPOSITORY)


def survey_file(tmp_path: Path, content: object) -> str:
    path = tmp_path / "survey.json"
    path.write_text(json.dumps(content))
    return str(path)


SCALE = {"question_id": "a", "question_type": "slider", "question_text": "?", "min": "0", "max": "10"}
AUDIO = {"content": [{"prompt": "Speak"}], "survey_type": "audio_survey"}


@pytest.mark.parametrize(
    ("given", "kinds", "status"),
    [
        ([SCALE], [], 0),
        ([SCALE, SCALE], ["duplicate_question_id"], 1),
        ([SCALE, SCALE | {"question_id": "b", "display_if": {"!=": ["a", 1]}}], ["crashes_ios"], 0),
        ({"content": [SCALE], "settings": {"randomize": "yes"}}, ["bad_settings"], 1),
        ({"content": "[]", "settings": {"number_of_random_questions": -1}}, ["bad_settings"], 1),
        (
            {"content": [{"prompt": "Speak"}], "survey_type": "audio_survey", "settings": {"bit_rate": 1}},
            ["bad_settings"],
            1,
        ),
        ({"content": [{}], "survey_type": "audio_survey"}, ["malformed"], 1),
        ({"content": [], "survey_type": "image_survey"}, ["malformed"], 1),
        ("nonsense", ["malformed"], 1),
        ({"content": [], "settings": 5}, ["bad_settings"], 1),
    ],
)
def test_a_survey_is_checked_without_a_database(tmp_path: Path, given: object, kinds: list[str], status: int) -> None:
    """SURVEY-20, SURVEY-55, SURVEY-10."""
    result = run("surveys", "check", survey_file(tmp_path, given), "--json")
    found = json.loads(result.stdout)
    assert ([finding["kind"] for finding in found], result.exit_code) == (kinds, status)
    assert all(finding["message"] and finding["level"] in ("error", "warning") for finding in found)


def test_a_file_that_is_no_survey_is_one_line(tmp_path: Path) -> None:
    """SURVEY-55."""
    (tmp_path / "x").write_text("{")
    for path in (tmp_path / "x", tmp_path / "missing"):
        result = run("surveys", "check", str(path))
        assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
