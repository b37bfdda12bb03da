"""`flask device decrypt` and `flask chunks build`: they need neither database nor server."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from webapp import asked_command
from webapp.commands.chunks import chunks_commands
from webapp.commands.device import device_commands

VECTORS = Path(__file__).parent.parent / "vectors"
DEVICE_FILES = VECTORS / "device_files"
PRIVATE_KEY = str(DEVICE_FILES / "test_private_key.pem")


def run(*args: str) -> Result:
    app = Flask("commands_alone")
    app.cli.add_command(device_commands)
    app.cli.add_command(chunks_commands)
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


@pytest.mark.parametrize(
    ("call", "command"),
    [
        ("flask --app webapp device decrypt", "device"),
        ("flask -A webapp --debug chunks", "chunks"),
        ("flask --app webapp study create --name device", "study"),
        ("gunicorn -c ops/gunicorn.conf.py", "ops/gunicorn.conf.py"),
        ("flask --app webapp", None),
    ],
)
def test_the_command_that_is_asked_for_is_found(call: str, command: str | None):
    """Commands over files alone start without models and pages."""
    assert asked_command(call.split()) == command


def test_commands_over_files_load_no_models():
    """The contract: each starts in about a second."""
    code = (
        "import sys, webapp; sys.argv = ['flask', '--app', 'webapp', 'device']; app = webapp.create_app();"
        "assert sorted(app.cli.commands) == ['chunks', 'device', 'schedules'], app.cli.commands;"
        "assert 'core.models' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=Path(__file__).parents[2])
