"""`make run`: everything on one machine, with no configuration. Ctrl-C stops all of it."""

import argparse
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from core import embedded
from core.config import REPOSITORY, ConfigurationError, Settings, get_settings
from core.embedded import EmbeddedDatabaseError, Folder
from core.embedded.errors import files_explained
from core.embedded.locks import take_lock
from core.embedded.use import keeper_environment
from core.private_files import make_private_folder
from ops.supervisor import Part, Supervisor, say

ADMINISTRATOR = "admin"
MARK = "BEIWE_RUN_OF"
READY_SECONDS = 120
DATABASE_SECONDS = 360


def main() -> None:
    """Starts database, migrations, Prefect server, worker and web server; returns when they have stopped."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--demo", action="store_true", help="with a study whose simulated phones report")
    is_demo = arguments.parse_args().demo
    if is_demo and "VAR_DIR" not in os.environ:
        os.environ["VAR_DIR"] = str(REPOSITORY / "var" / "demo")
    try:
        settings = get_settings()
        with files_explained(settings.var_dir):
            make_private_folder(settings.var_dir)
            alone = lock_out_others(settings.var_dir)
            sweep(str(settings.var_dir))  # processes of a run that was killed
            require_ports(settings)
            environment = environment_of(settings)
            if is_demo and "FCM_URL" not in os.environ:
                environment |= stand_in_addresses()
    except (ConfigurationError, EmbeddedDatabaseError) as error:
        sys.exit(f"Error: {error}")
    supervisor = Supervisor()
    try:
        failure = start(supervisor, settings, environment, is_demo=is_demo)
        if failure is None:
            supervisor.run()
    finally:
        supervisor.is_stopping.set()
        stop(supervisor, settings)
        os.close(alone)
    sys.exit(failure)


def lock_out_others(var_dir: Path) -> int:
    """Locks VAR_DIR until the returned descriptor is closed. Ends the process if another run holds the lock."""
    path = var_dir / ".run"
    lock = take_lock(path, wait=False)
    if lock is None:
        named = path.read_text().strip()
        sys.exit(
            f"Error: `make run` runs already on VAR_DIR {var_dir} (process {named}). Stop it first; a second copy "
            "beside it needs its own VAR_DIR, PORT and PREFECT_PORT"
        )
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    return lock


def require_ports(settings: Settings) -> None:
    """Raises ConfigurationError if another program uses one of the ports."""
    wanted = {"PORT": settings.port} | ({} if settings.prefect_api_url else {"PREFECT_PORT": settings.prefect_port})
    for name, port in wanted.items():
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError as error:
                raise ConfigurationError(f"{name} {port}: {error.strerror}; set {name} to another one") from error


def environment_of(settings: Settings) -> dict[str, str]:
    """The environment of all processes: this machine's database and Prefect server, and a variable to find them by."""
    prefect, temporary = settings.var_dir / "prefect", settings.var_dir / "tmp"
    for folder in (prefect, temporary):
        folder.mkdir(mode=0o700, exist_ok=True)
    own = {
        "DATABASE_URL": settings.configured_database_url or Folder(settings.var_dir).url,
        "VAR_DIR": str(settings.var_dir),
        "TMPDIR": str(temporary),  # Prefect keeps a folder there that only the machine's first user can open
        "PREFECT_HOME": str(prefect),
        "PREFECT_API_URL": settings.prefect_api_url or f"http://127.0.0.1:{settings.prefect_port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "P1D",  # automations need minutes; a day fills 100 MB
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_LEVEL": "INFO",  # logs of flows go to the Prefect UI, warnings also to this terminal
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "core",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PYTHONUNBUFFERED": "1",
        MARK: str(settings.var_dir),
    }
    if not settings.prefect_api_url:  # a server of the operator's own may need no secret
        own["PREFECT_API_AUTH_STRING"] = settings.prefect_auth_string
    return os.environ | own


def stand_in_addresses() -> dict[str, str]:
    """Settings for all processes of a demo: addresses with free ports of this machine, for stand-ins."""
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        ports = first.getsockname()[1], second.getsockname()[1]
    return {"FCM_URL": f"http://127.0.0.1:{ports[0]}", "APNS_URL": f"http://127.0.0.1:{ports[1]}"}


def start(supervisor: Supervisor, settings: Settings, environment: dict[str, str], *, is_demo: bool) -> str | None:
    """Starts every process in turn, Prefect at the same time as the others. Returns the failure, or None."""
    python = sys.executable
    if not settings.prefect_api_url:
        supervisor.add(Part("prefect", [python, "-m", "ops.prefect_server"], environment))
    preparing = subprocess.Popen(
        [python, "-m", "ops.prepare"],
        env=environment,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        if not settings.configured_database_url and (failure := start_database(supervisor, settings)):
            return failure
        password, failure = prepared(preparing, supervisor)
        if failure:
            return failure
    finally:
        preparing.kill()
        preparing.wait()
    gunicorn = [python, "-m", "gunicorn", "--config", "ops/gunicorn.conf.py", "webapp:create_app()"]
    supervisor.add(Part("web", gunicorn, environment))
    supervisor.add(Part("sender", [python, "-m", "ops.sender"], environment))
    supervisor.add(Part("worker", [python, "-m", "ops.worker"], environment))
    supervisor.add(Part("forest", [python, "-m", "ops.worker", "forest"], environment))
    supervisor.add(Part("uploads", [python, "-m", "ops.first_uploads"], environment, is_kept=False))
    if is_demo:
        if "FCM_URL" not in os.environ:
            supervisor.add(Part("push", [python, "-m", "ops.demo_push"], environment))
        supervisor.add(Part("demo", [python, "-m", "ops.demo"], environment))
    threading.Thread(target=announce, args=(settings, password), daemon=True).start()
    return None


def start_database(supervisor: Supervisor, settings: Settings) -> str | None:
    """Starts the embedded PostgreSQL, or takes over one that a command started. Returns the failure, or None."""
    var_dir = settings.var_dir
    try:
        embedded.hold(var_dir)
        # Our lock alone keeps it running, so that commands that still use it at the end can finish.
        keeper = [sys.executable, "-m", "core.embedded.keeper", "--standby", str(var_dir)]
        part = Part("postgres", keeper, keeper_environment())
        supervisor.add(part)
        end = time.monotonic() + DATABASE_SECONDS
        while not Folder(var_dir).is_listening():
            if not part.is_alive or time.monotonic() > end or supervisor.is_stopping.is_set():
                if part.reader:
                    part.reader.join(5)
                return part.last_line or "the embedded PostgreSQL does not start"
            time.sleep(0.02)
        embedded.wait_until_ready(Folder(var_dir))
    except EmbeddedDatabaseError as error:
        return f"Error: {error}"
    return None


def prepared(process: subprocess.Popen[str], supervisor: Supervisor) -> tuple[str | None, str | None]:
    """Waits for migrations and the first account. Returns its one-time password (first run only), and the failure."""
    while not supervisor.is_stopping.is_set():
        with suppress(subprocess.TimeoutExpired):
            printed, errors = process.communicate(timeout=0.2)
            if process.returncode:
                return None, f"Error: the database could not be prepared:\n{errors.strip()}"
            return json.loads(printed.splitlines()[-1])["password"], None
    return None, None


def stop(supervisor: Supervisor, settings: Settings) -> None:
    """Stops every process: those that use others first, the database last."""
    supervisor.stop(["demo", "uploads", "forest", "worker", "sender", "push", "web"])
    supervisor.stop(["prefect"])
    sweep(str(settings.var_dir))
    if settings.configured_database_url:
        return
    if not embedded.release(settings.var_dir) and Folder(settings.var_dir).is_listening():
        say("PostgreSQL goes on until the commands that use it have ended")
        return
    supervisor.stop(["postgres"])


def announce(settings: Settings, password: str | None) -> None:
    """Prints each address once it answers."""
    portal = f"http://127.0.0.1:{settings.port}"
    prefect = (settings.prefect_api_url or f"http://127.0.0.1:{settings.prefect_port}/api").removesuffix("/api")
    lines = [f"Portal       {portal}"]
    if password:
        lines.append(f"Sign in as   {ADMINISTRATOR}   one-time password   {password}")
    _when_it_answers(f"{portal}/healthz", [*lines, "", "Ctrl-C stops everything."])
    lines = [f"Prefect UI   {prefect}"]
    if not settings.prefect_api_url:
        lines.append(f"It asks for  {settings.prefect_auth_string}")
    _when_it_answers(f"{prefect}/api/health", lines)


def _when_it_answers(url: str, lines: list[str]) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and not _answers(url):
        time.sleep(0.1)
    print("\n" + "\n".join(f"  {line}".rstrip() for line in lines) + "\n", flush=True)


def sweep(mark: str) -> None:
    """Ends remaining processes of a run on this VAR_DIR; flow runs have process groups of their own."""
    left = [process for process in psutil.process_iter() if _has_mark(process, mark)]
    for process in left:
        _end(process.terminate)
    _, alive = psutil.wait_procs(left, timeout=5)
    for process in alive:
        _end(process.kill)
    psutil.wait_procs(alive, timeout=5)


def _end(how: Callable[[], None]) -> None:
    with suppress(psutil.NoSuchProcess):
        how()


def _has_mark(process: psutil.Process, mark: str) -> bool:
    try:
        return process.pid != os.getpid() and bool(process.environ().get(MARK) == mark)
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
