"""`python -m tests.smoke PYTHON…`: a newcomer's first minutes with each of these interpreters.

For each: a clone of what is committed, in a folder with a blank in its name; `make install` and `make run` there, with
a VAR_DIR and ports of its own, until an upload is a chunk, and Ctrl-C, after which nothing may be left. Prints a line
for each and ends with status 1 where one fails.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from core.config import REPOSITORY
from tests.ops.whole_system import WholeSystem

INSTALL_SECONDS = 900
CHUNK_SECONDS = 180
HOUR_MS = 1_700_002_800_000  # 2023-11-14T23:00:00


def main() -> None:
    """Tries all at once."""
    with ThreadPoolExecutor(max(1, len(sys.argv) - 1)) as pool:
        sys.exit(not all(list(pool.map(is_good, sys.argv[1:]))))


def is_good(python: str) -> bool:
    """Whether it works with this interpreter; prints the times, or what went wrong."""
    try:
        with tempfile.TemporaryDirectory(prefix="beiwe smoke ", ignore_cleanup_errors=True) as folder:
            print(f"{python}: {try_out(python, Path(folder))}", flush=True)
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        print(f"{python}: {error}", file=sys.stderr, flush=True)
        return False
    return True


def try_out(python: str, folder: Path) -> str:
    """Installs and runs; gives the times that it took. Raises AssertionError, OSError or SubprocessError."""
    checkout = folder / "Box Sync" / "beiwe"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(REPOSITORY), str(checkout)], check=True)
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "MAKEFLAGS")}
    began = time.monotonic()
    installed = subprocess.run(
        ["make", "install", f"PYTHON={python}"],
        cwd=checkout,
        env=environment,
        timeout=INSTALL_SECONDS,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert installed.returncode == 0, f"make install failed:\n{installed.stdout[-3000:]}"
    install_seconds, began = time.monotonic() - began, time.monotonic()
    run = WholeSystem(folder / "var", checkout=checkout)
    try:
        run.until(lambda: "one-time password" in run.printed)
        phone = run.new_phone()
        phone.collect("gps", HOUR_MS, HOUR_MS + 1_800_000)
        assert [answer.status for answer in phone.upload_round()] == [200], "the upload was not taken"
        run.until(run.chunk(phone, "gps/2023-11-14T23:00:00.csv").exists, CHUNK_SECONDS)
        chunk_seconds = time.monotonic() - began
        run.until(lambda: "process-uploads" in {d["name"] for d in run.prefect("deployments/filter")})
        assert run.interrupt(signal.SIGINT) == 0, "it did not end well"
        assert run.left() == [], f"left behind: {run.left()}"
    finally:
        run.clean_up()
    return f"installed in {install_seconds:.0f} s, a chunk {chunk_seconds:.0f} s after `make run`"


if __name__ == "__main__":
    main()
