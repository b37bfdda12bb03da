"""`make install` takes the newest Python that runs and can make a virtual environment (CLAR-5)."""

import os
import subprocess
from pathlib import Path

from core.config import REPOSITORY


def fake(folder: Path, name: str, *, usable: str = "") -> Path:
    """A program of this name that passes for Python of version `usable`, or fails as a shim of pyenv does."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f'#!/bin/sh\n[ "$3" = "{usable}" ] || {{ echo "pyenv: {name}: command not found"; exit 127; }}\n')
    path.chmod(0o755)
    return path


def chosen(*folders: Path, home: Path, everywhere: bool = False) -> list[str]:
    path = ":".join(str(folder) for folder in (*folders, "/usr/bin", "/bin"))
    environment = {"PATH": path, "HOME": str(home)}
    command = ["/bin/sh", str(REPOSITORY / "ops/python.sh"), *(["--everywhere"] if everywhere else [])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if not line.startswith(("/usr/bin/", "/bin/"))]


def test_the_newest_that_runs_is_taken_and_shims_that_fail_are_passed_over(tmp_path: Path):
    """CLAR-5: the same name further back in PATH counts, and pyenv's own folder where it is asked for."""
    shims, real, more = tmp_path / "shims", tmp_path / "real ones", tmp_path / "more"
    for name in ("python3.13", "python3.12", "python3.11", "python3"):
        fake(shims, name)
    older = fake(real, "python3.11", usable="3.11")
    newer = fake(more, "python3.12", usable="3.12")
    assert chosen(shims, real, more, home=tmp_path)[:2] == [str(newer), str(older)]
    assert chosen(shims, home=tmp_path / "nobody") == []
    kept = tmp_path / ".pyenv" / "versions" / "3.13.7" / "bin"
    kept.mkdir(parents=True)
    newest = fake(kept, "python", usable="3.13")
    assert chosen(shims, real, more, home=tmp_path, everywhere=True)[:2] == [str(newest), str(newer)]
    assert chosen(shims, real, more, home=tmp_path)[0] == str(newer)


def test_an_interpreter_of_another_version_is_refused_by_name(tmp_path: Path):
    """CLAR-5: `PYTHON=` overrides, and says what is wrong."""
    old = tmp_path / "python3.10"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    for file in ("Makefile", "requirements.txt"):
        (tmp_path / file).write_bytes((REPOSITORY / file).read_bytes())
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "PYTHON")}
    done = subprocess.run(
        ["make", ".venv/.installed", f"PYTHON={old}"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert f"PYTHON={old} is not Python 3.11, 3.12 or 3.13" in done.stdout
    assert not (tmp_path / ".venv").exists()
