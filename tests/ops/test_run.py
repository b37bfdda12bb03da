"""`make run` as a newcomer sees it: everything up, an upload becomes a chunk through Prefect, Ctrl-C leaves nothing."""

import json
import os
import re
import stat
import subprocess
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError

import psutil
import pytest

from tests.ops.whole_system import READY_SECONDS, WholeSystem

HOUR_MS = 1_700_002_800_000  # 2023-11-14T23:00:00
CHUNK_SECONDS = 90


@pytest.mark.long  # `.ci/run` installs and runs on two other Pythons, until an upload is a chunk
@pytest.mark.timeout(600)
def test_a_newcomers_first_run_from_start_to_ctrl_c(tmp_path: Path):
    """OPS-20 to OPS-22, OPS-23, OPS-31, CLAR-2; the contracts of `make run`, on a machine as odd as they come.

    The path has characters that mean something to shells, formats and addresses, the locale is not installed, and the
    proxy does not exist.
    """
    odd = {
        "LC_ALL": "de_DE.UTF-8",
        "http_proxy": "http://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
        "no_proxy": "example.org",
    }
    run = WholeSystem(tmp_path / "Box Sync (o'$HOME %41ü" / "var", **odd)
    try:
        first_run(run)
    finally:
        run.clean_up()


def first_run(run: WholeSystem) -> None:
    began = time.monotonic()
    run.until(lambda: "one-time password" in run.printed)
    assert run.portal in run.printed
    assert re.search(r"admin +one-time password +\S{20,}", run.printed)
    phone = run.new_phone()
    phone.collect("gps", HOUR_MS, HOUR_MS + 1_800_000)
    assert [answer.status for answer in phone.upload_round()] == [200]
    run.until(run.chunk(phone, "gps/2023-11-14T23:00:00.csv").exists, CHUNK_SECONDS)
    print(f"from the start to the first chunk: {time.monotonic() - began:.1f} s")
    # The run that wrote the chunk says so when it ends, a moment later.
    run.until(lambda: status(f"{run.portal}/background_processing_status") == 200, 60)

    both = {"process-uploads", "process-participants"}
    run.until(lambda: {d["name"] for d in run.prefect("deployments/filter")} >= both)
    run.until(lambda: run.part("ops.first_uploads") is None, READY_SECONDS + 60)
    phone.collect("gps", HOUR_MS + 3_600_000, HOUR_MS + 5_400_000)
    assert [answer.status for answer in phone.upload_round()] == [200]
    run.until(run.chunk(phone, "gps/2023-11-15T00:00:00.csv").exists, CHUNK_SECONDS)
    run.until(lambda: artifacts(run).get("files", 0) >= 1, 60)

    assert stat.S_IMODE(run.var_dir.stat().st_mode) == (0o711 if os.geteuid() == 0 else 0o700)
    assert [path.name for path in run.var_dir.iterdir() if path.lstat().st_mode & 0o077] == []
    nothing_secret_is_shown(run)
    assert run.interrupt() == 0
    assert run.left() == []


def status(address: str) -> int:
    try:
        return urllib.request.urlopen(address, timeout=5).status
    except HTTPError as error:
        return error.code


def artifacts(run: WholeSystem) -> dict[str, int]:
    """The newest table of a processing run, by what it counts."""
    found = run.prefect("artifacts/latest/filter", artifacts={"key": {"any_": ["processed-uploads"]}})
    return {row["what"]: row["count"] for row in json.loads(found[0]["data"])} if found else {}


def nothing_secret_is_shown(run: WholeSystem) -> None:
    """Neither in the arguments of processes, which every user of a machine can read, nor in what runs were given."""
    secrets = [run.secret, run.secret.partition(":")[2], (run.var_dir / "secret_key").read_text()]
    commands = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    runs = json.dumps(run.prefect("flow_runs/filter") + run.prefect("deployments/filter"))
    lines = run.printed.replace(f"It asks for  {run.secret}", "")
    for secret in secrets:
        assert [command for command in commands if secret in command] == []
        assert secret not in runs
        assert secret not in lines


def processed_beside(run: WholeSystem, times: int, at_once: int) -> None:
    """Runs `process-uploads` so often beside the system, with files waiting; nothing happens to the system."""
    phone = run.new_phone()
    server, sending = run.server, threading.Lock()

    def process_uploads(number: int) -> tuple[int, str]:
        with sending:
            phone.collect("accel", HOUR_MS + number * 60_000, HOUR_MS + number * 60_000 + 30_000)
            assert {answer.status for answer in phone.upload_round()} == {200}
        process = run.command("process-uploads")
        errors = process.communicate(timeout=300)[1]
        return process.returncode, errors

    with ThreadPoolExecutor(at_once) as threads:
        answers = list(threads.map(process_uploads, range(times)))
    assert [answer for answer in answers if answer[0] != 0] == []
    assert run.server == server
    assert urllib.request.urlopen(f"{run.portal}/readyz", timeout=10).status == 200
    assert " it is started again" not in run.printed
    assert run.interrupt() == 0
    assert run.left() == []


@pytest.mark.timeout(600)
@pytest.mark.long
def test_commands_beside_a_running_system_leave_it_alone(run: WholeSystem):
    """CLAR-2: three at once; thirty in the long lane. A second system on the folder is told to go, and where."""
    run.until_up()
    second = subprocess.run(run.process.args, env=run.environment, capture_output=True, text=True, timeout=60)
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert f"runs already on VAR_DIR {run.var_dir} (process {run.process.pid})" in second.stderr
    processed_beside(run, times=3, at_once=3)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_thirty_commands_beside_a_running_system_leave_it_alone(run: WholeSystem):
    """CLAR-2."""
    run.until_up()
    processed_beside(run, times=30, at_once=3)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_nobody_without_the_secret_commands_prefect(run: WholeSystem, tmp_path: Path):
    """CLAR-1: the attack from a page of another site, from a name that leads here, and by somebody with the secret."""
    run.until(lambda: {d["name"] for d in run.prefect("deployments/filter")} >= {"audit-store"})
    (deployment,) = run.prefect("deployments/filter", deployments={"name": {"any_": ["audit-store"]}})
    proof = tmp_path / "proof"
    path = f"deployments/{deployment['id']}/create_flow_run"
    attack = {"job_variables": {"command": f"touch {proof}"}, "state": {"type": "SCHEDULED"}}

    for headers in (
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "https://evil.example", "Content-Type": "text/plain"},
        {"Authorization": "Basic YmVpd2U6d3Jvbmc="},
        {"Host": "evil.example"},
        {"Host": f"evil.example:{run.prefect_port}"},
    ):
        with pytest.raises(HTTPError) as refused:
            run.prefect_refused(path, headers=headers, **attack)
        assert refused.value.code in (400, 401)
        refused.value.close()
    with pytest.raises(HTTPError, match="400"):
        run.prefect(path, headers={"Host": "evil.example"}, **attack)
    # A name commands nothing; a browser's page is not told even that.
    assert {"name": "audit-store"} in run.prefect_refused("deployments/filter", headers={})
    for headers in (
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"X-Forwarded-For": "1.2.3.4"},
    ):
        with pytest.raises(HTTPError, match=r"40[01]"):
            run.prefect_refused("deployments/filter", headers=headers)
    for path_of_data in ("flow_runs/filter", "logs/filter", "artifacts/filter", "work_pools/filter"):
        with pytest.raises(HTTPError, match="401"):
            run.prefect_refused(path_of_data, headers={})
    preflight = urllib.request.Request(
        f"{run.prefect_address}/api/{path}",
        method="OPTIONS",
        headers={
            "Origin": "https://evil.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,authorization",
        },
    )
    with pytest.raises(HTTPError, match="400"):
        urllib.request.urlopen(preflight, timeout=10)

    # The secret's owner is an operator; even so, a run is what its deployment says.
    for variables in (
        {"command": f"touch {proof}"},
        {"env": {"LD_PRELOAD": str(proof)}},
        {"env.PYTHONPATH": str(tmp_path)},
        {"working_dir": str(tmp_path)},
    ):
        with pytest.raises(HTTPError, match=r"4(09|22)"):
            run.prefect(path, job_variables=variables, state={"type": "SCHEDULED"})
    made = run.prefect(path, parameters={"study_id": None}, state={"type": "SCHEDULED"})
    run.until(lambda: state_of(run, made["id"]) not in ("SCHEDULED", "PENDING", "RUNNING"), 120)
    assert not proof.exists()


def state_of(run: WholeSystem, flow_run: str) -> str:
    (found,) = run.prefect("flow_runs/filter", flow_runs={"id": {"any_": [flow_run]}})
    return found["state"]["type"]
