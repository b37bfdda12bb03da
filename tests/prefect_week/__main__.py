"""`python -m tests.prefect_week`: a Prefect server of its own with a week of simulated history, until Ctrl-C.

`--screenshots FOLDER` takes pictures of its pages with Chromium and ends.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from core.config import REPOSITORY

READY_SECONDS = 90
LOOK_SECONDS = 5


def main() -> None:
    """Serves the history; ends the process with a message where the server or the deployments do not come up."""
    parser = argparse.ArgumentParser(prog="python -m tests.prefect_week", description=__doc__)
    parser.add_argument("--folder", type=Path, help="keep the server's database there (default: a temporary folder)")
    parser.add_argument("--port", type=int, default=0, help="of the server (default: a free one)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same week")
    parser.add_argument("--screenshots", type=Path, metavar="FOLDER", help="take pictures, put them there, and end")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="prefect-week-") as temporary:
        folder = (given.folder or Path(temporary)).resolve()
        if (folder / "prefect.db").exists():
            sys.exit(f"{folder} has the database of a Prefect server already; name a new folder")
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # the server must not outlive this
        with server(folder, given.port or free_port()) as address:
            # Prefect reads the environment when it is imported, and the server's address is known only now.
            from tests.prefect_week.fill import open_database
            from tests.prefect_week.pictures import take_pictures

            engine = open_database(folder / "prefect.db")
            fill_server(engine, given.seed)
            if given.screenshots:
                take_pictures(address, engine, given.screenshots)
            else:
                print(f"Prefect UI with a week of simulated history: {address}   Ctrl-C ends it.", flush=True)
                stay(engine)


def fill_server(engine: sa.Engine, seed: int) -> None:
    """Brings the deployments to the server behind PREFECT_API_URL, and seven days of their runs into its database."""
    deployed = subprocess.run([sys.executable, "-m", "ops.deploy"], cwd=REPOSITORY)
    if deployed.returncode:
        sys.exit(deployed.returncode)
    from tests.prefect_week.fill import make_ready, read_deployments, write
    from tests.prefect_week.week import Week

    deployments = read_deployments(engine)
    now = datetime.now(UTC)
    week = Week(now.replace(second=0, microsecond=0), seed)
    schedules = {name: one.times(week.start, week.until) for name, one in deployments.items()}
    runs = week.play(schedules, {name: one.parameters for name, one in deployments.items()})
    write(engine, runs, deployments, seed)
    make_ready(engine, now)


@contextmanager
def server(folder: Path, port: int) -> Iterator[str]:
    """A Prefect server that keeps everything in the folder, and whose pages show no lack of workers; its address.

    The process's environment points to it from then on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    address = f"http://127.0.0.1:{port}"
    os.environ |= {
        "PREFECT_HOME": str(folder),
        "PREFECT_API_URL": f"{address}/api",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{folder / 'prefect.db'}",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
        "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",  # nobody works here: everything would be late
        "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    prefect = str(Path(sys.executable).with_name("prefect"))
    command = [prefect, "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        wait_for(f"{address}/api/health", process)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Returns when the address answers; ends the process when it does not, or its server has ended."""
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(0.3)
    sys.exit(f"the Prefect server does not answer at {url}")


def stay(engine: sa.Engine) -> None:
    """Until Ctrl-C; no run is shown as late meanwhile."""
    from tests.prefect_week.fill import drop_overdue

    with suppress(KeyboardInterrupt):
        while True:
            drop_overdue(engine)
            time.sleep(LOOK_SECONDS)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    main()
