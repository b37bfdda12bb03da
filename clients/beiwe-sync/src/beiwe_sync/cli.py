"""The console command `beiwe-sync`."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import re
import sys
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from beiwe_sync.folder import OWN, Folder, FolderInUse
from beiwe_sync.server import Refused, Server, Unreachable
from beiwe_sync.sync import Outcome, listing, sync

USAGE_STATUS, INTERRUPTED_STATUS = 2, 130
TIME = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d)?")
ABOUT_KEYS = """\
The key is read from the environment (BEIWE_ACCESS_KEY, BEIWE_SECRET_KEY), from a file given with --keys, which may be
a keyring of mano (JSON with URL, ACCESS_KEY and SECRET_KEY), or it is asked for. It is never an argument: other people
on the machine can read those.
"""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Runs the command. Status 0: all is there; 1: some files are not; 2: nothing could be done; 130: interrupted."""
    try:
        sys.exit(_run(_parser().parse_args(arguments)))
    except KeyboardInterrupt:
        print("\nStopped. Run the same command again to go on from here.", file=sys.stderr, flush=True)
        os._exit(INTERRUPTED_STATUS)  # Python would wait for threads that wait for the server
    except (Refused, Unreachable, FolderInUse, OSError, UsageError) as error:
        print(f"beiwe-sync: {error}", file=sys.stderr)
        sys.exit(USAGE_STATUS)


class UsageError(Exception):
    """An argument or a file of keys cannot be used."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "beiwe-sync",
        description="Keep a folder in step with a study's data: only new and changed files are downloaded, each is"
        " verified, and a run that was stopped goes on where it was.",
        epilog=ABOUT_KEYS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("address", nargs="?", help="the server, such as https://beiwe.example.org")
    parser.add_argument("--study", help="the study's id, 24 letters or digits")
    parser.add_argument("--out", type=Path, help="the folder; it is made if need be")
    parser.add_argument("--participants", help="only these, separated by commas")
    parser.add_argument("--streams", help="only these data streams, separated by commas, such as gps,accelerometer")
    parser.add_argument("--from", dest="start", metavar="TIME", help="only from this time on: 2026-03-01, or"
                        " 2026-03-01T06:00:00, UTC")  # fmt: skip
    parser.add_argument("--to", dest="end", metavar="TIME", help="only up to this time, inclusive, UTC")
    parser.add_argument("--keys", type=Path, help="a JSON file with ACCESS_KEY and SECRET_KEY, and perhaps URL")
    parser.add_argument("--parallel", type=int, default=4, metavar="N", help="connections at once (4)")
    parser.add_argument("--check", action="store_true", help="read all files of the folder again and compare them")
    parser.add_argument("--list", action="store_true", help="say what would be downloaded, and download nothing")
    parser.add_argument("--studies", action="store_true", help="list the studies that the key may read")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, and no summary unless files are missing")
    return parser


def _run(chosen: argparse.Namespace) -> int:
    server = _server(chosen)
    if chosen.studies:
        for study_id, name in server.studies().items():
            print(study_id, name)
        return 0
    if not chosen.study or not chosen.out:
        raise UsageError("--study and --out are needed; --studies lists the studies")
    query = _query(chosen)
    with Folder(chosen.out) as folder:
        if chosen.list:
            print(_would(listing(server, folder, query)))
            return 0
        with tqdm(unit="B", unit_scale=True, total=0, disable=True if chosen.quiet else None, leave=False) as bar:

            def report(listed: int, received: int) -> None:
                bar.total += listed
                bar.update(received)

            outcome = sync(server, folder, query, report=report, is_checked=chosen.check)
    return _summary(chosen, outcome)


def _summary(chosen: argparse.Namespace, outcome: Outcome) -> int:
    problems = chosen.out / OWN / "problems.json"
    if outcome.problems:
        problems.write_text(json.dumps(outcome.problems, indent=1))
        for name, reason in list(outcome.problems.items())[:10]:
            print(f"{name}: {reason}", file=sys.stderr)
        print(f"{len(outcome.problems)} files are missing; all are named in {problems}", file=sys.stderr)
    elif problems.exists():
        problems.unlink()
    if not chosen.quiet:
        print(
            f"{outcome.listed} files, {_size(outcome.listed_bytes)}: {outcome.fetched} downloaded"
            f" ({_size(outcome.received_bytes)}), {outcome.unchanged} unchanged"
        )
        if outcome.gone:
            print(f"{len(outcome.gone)} files of this folder are no longer on the server, such as {outcome.gone[0]}")
    return 0 if outcome.is_complete else 1


def _would(outcome: Outcome) -> str:
    return (
        f"{outcome.listed} files, {_size(outcome.listed_bytes)}: {outcome.fetched} would be downloaded"
        f" ({_size(outcome.received_bytes)}), {outcome.unchanged} are there"
    )


def _server(chosen: argparse.Namespace) -> Server:
    keys: dict[str, str] = {}
    if chosen.keys:
        try:
            keys = json.loads(chosen.keys.read_text())
            if not isinstance(keys, dict):
                raise ValueError
        except ValueError:
            raise UsageError(f"{chosen.keys} is not a JSON object with ACCESS_KEY and SECRET_KEY") from None
    address = chosen.address or keys.get("URL") or os.environ.get("BEIWE_URL")
    if not address:
        raise UsageError("the server's address is needed, such as https://beiwe.example.org")
    access = os.environ.get("BEIWE_ACCESS_KEY") or keys.get("ACCESS_KEY") or input("Access key: ")
    secret = os.environ.get("BEIWE_SECRET_KEY") or keys.get("SECRET_KEY") or getpass.getpass("Secret key: ")
    if not 1 <= chosen.parallel <= 16:
        raise UsageError("--parallel is a number from 1 to 16")
    return Server(address, access.strip(), secret.strip(), chosen.parallel)


def _query(chosen: argparse.Namespace) -> list[tuple[str, str]]:
    query = [("study_id", chosen.study), ("limit", "2000")]
    for parameter, texts in (("participant_ids", chosen.participants), ("data_streams", chosen.streams)):
        query += [(parameter, text.strip()) for text in (texts or "").split(",") if text.strip()]
    for parameter, text, rest in (("time_start", chosen.start, "T00:00:00"), ("time_end", chosen.end, "T23:59:59")):
        if text:
            if not TIME.fullmatch(text):
                raise UsageError(f"{text} is not a time such as 2026-03-01 or 2026-03-01T06:00:00")
            query.append((parameter, text if "T" in text else text + rest))
    return query


def _size(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
