"""`make run`: everything on one machine, with no configuration. Ctrl-C stops all of it."""

import argparse
import json
import os
import secrets
import shlex
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import psutil
from honcho.manager import Manager
from honcho.printer import Printer

from core.config import REPOSITORY, ConfigurationError, Settings, get_settings
from core.database import database_url

ADMINISTRATOR = "admin"
MARK = "BEIWE_RUN_MARK"
READY_SECONDS = 120


def main() -> None:
    """Starts database, migrations, Prefect server, worker and web server; returns when they have stopped."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--demo", action="store_true", help="with a study whose simulated phones report")
    is_demo = arguments.parse_args().demo
    if is_demo and "VAR_DIR" not in os.environ:
        os.environ["VAR_DIR"] = str(REPOSITORY / "var" / "demo")
    try:
        settings = get_settings()
        environment = environment_of(settings)
    except ConfigurationError as error:
        sys.exit(str(error))
    flask(environment, "db", "upgrade")
    password = first_password(environment)

    manager = Manager(Printer(sys.stdout, time_format="%H:%M:%S"))
    python, scripts = (shlex.quote(str(path)) for path in (sys.executable, Path(sys.executable).parent))
    commands = {
        "worker": f"{python} -m ops.worker",
        "web": f"{scripts}/gunicorn --config ops/gunicorn.conf.py 'webapp:create_app()'",
    }
    if not settings.prefect_api_url:
        commands["prefect"] = f"{scripts}/prefect server start --host 127.0.0.1 --port {settings.prefect_port}"
    if is_demo:
        commands["demo"] = f"{python} -m ops.demo"
    for name, command in commands.items():
        manager.add_process(name, f"exec {command}", env=environment, cwd=str(REPOSITORY))
    threading.Thread(target=announce, args=(settings, password), daemon=True).start()
    try:
        manager.loop()
    finally:
        sweep(environment[MARK])
    was_asked_to_stop = manager.returncode in (128 + signal.SIGINT, 128 + signal.SIGTERM)
    sys.exit(0 if was_asked_to_stop else manager.returncode)


def environment_of(settings: Settings) -> dict[str, str]:
    """What all processes share: this machine's database and Prefect server, and a mark to find them by."""
    prefect, temporary = settings.var_dir / "prefect", settings.var_dir / "tmp"
    for folder in (prefect, temporary):
        folder.mkdir(parents=True, exist_ok=True)
    own = {
        "DATABASE_URL": database_url(settings),
        "VAR_DIR": str(settings.var_dir),
        "TMPDIR": str(temporary),  # Prefect keeps a folder there that is open to the first user of a machine only
        "PREFECT_HOME": str(prefect),
        "PREFECT_API_URL": settings.prefect_api_url or f"http://127.0.0.1:{settings.prefect_port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "P1D",  # automations need minutes of them, and a day fills 100 MB
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_LEVEL": "INFO",  # what flows say goes to the Prefect UI, and warnings here as well
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "core",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PYTHONUNBUFFERED": "1",
        MARK: secrets.token_hex(8),
    }
    return os.environ | own


def flask(environment: dict[str, str], *arguments: str) -> str:
    """Output of a management command; ends this process with its message when it fails."""
    command = [sys.executable, "-m", "flask", "--app", "webapp", *arguments]
    done = subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} failed:\n{done.stderr}")
    return done.stdout


def first_password(environment: dict[str, str]) -> str | None:
    """The new site administrator's one-time password, on the first run."""
    if not json.loads(flask(environment, "admin", "list", "--json")):
        made = flask(environment, "admin", "create", "--username", ADMINISTRATOR, "--site-admin", "--json")
        password: str = json.loads(made)["password"]
        return password
    return None


def announce(settings: Settings, password: str | None) -> None:
    """Prints where things are, once they answer."""
    portal = f"http://127.0.0.1:{settings.port}"
    prefect = (settings.prefect_api_url or f"http://127.0.0.1:{settings.prefect_port}/api").removesuffix("/api")
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and not (_answers(f"{portal}/healthz") and _answers(f"{prefect}/api/health")):
        time.sleep(0.5)
    lines = [f"Portal       {portal}", f"Prefect UI   {prefect}"]
    if password:
        lines.append(f"Sign in as   {ADMINISTRATOR}   one-time password   {password}")
    print("\n" + "\n".join(f"  {line}" for line in lines) + "\n\n  Ctrl-C stops everything.\n", flush=True)


def sweep(mark: str) -> None:
    """Ends what has outlived its parent: flow runs are in process groups of their own."""
    left = [process for process in psutil.process_iter() if _has_mark(process, mark)]
    for process in left:
        process.terminate()
    _, alive = psutil.wait_procs(left, timeout=5)
    for process in alive:
        process.kill()


def _has_mark(process: psutil.Process, mark: str) -> bool:
    try:
        return process.pid != os.getpid() and process.environ().get(MARK) == mark
    except psutil.Error:
        return False


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False


if __name__ == "__main__":
    main()
