"""`python -m ops.phones`: simulated phones against a running server."""

import argparse
import json
import signal
import sys
import tempfile
import threading
from pathlib import Path

from ops.phones.fleet import run_fleet
from ops.phones.live import DEFAULT_FILE_BYTES
from ops.phones.member import FleetOptions
from ops.phones.platforms import Platform


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ops.phones", description=__doc__)
    parser.add_argument("--server", required=True, help="address, e.g. http://127.0.0.1:8080")
    parser.add_argument(
        "--participants", required=True, help="JSON list of {patient_id, password[, platform]}; - is standard input"
    )
    parser.add_argument("--files", type=int, help="files of the whole fleet (default: ten a phone)")
    parser.add_argument("--rate", type=float, help="files per second of the whole fleet (default: as fast as it goes)")
    parser.add_argument(
        "--file-bytes",
        type=int,
        help=f"encrypted size of an accelerometer file (default: {DEFAULT_FILE_BYTES}; after a backfill small files "
        "of every stream)",
    )
    parser.add_argument("--seconds", type=float, help="how long to go on live; `inf`: until stopped")
    parser.add_argument("--backfill-days", type=int, default=0, help="past days to upload first")
    parser.add_argument("--platforms", choices=("android", "ios", "mixed"), default="mixed")
    parser.add_argument("--report", type=Path, help="write the report here as well; the ledger goes beside it")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same people and phones")
    parser.add_argument("--zone", default="America/New_York", help="time zone of phones and people")
    parser.add_argument("--threads", type=int, default=8)
    return parser


def read_participants(source: str) -> tuple[list[tuple[str, str]], dict[str, Platform]]:
    """Reads patient ids, passwords and, where given, platforms from a file; `-` means standard input.

    Raises ValueError for anything but a list of objects with id and password.
    """
    text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    try:
        entries = json.loads(text)
        people = [(str(entry["patient_id"]), str(entry["password"])) for entry in entries]
        return people, {str(e["patient_id"]): Platform(e["platform"]) for e in entries if "platform" in e}
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"participants: wanted a JSON list of {{patient_id, password}} ({error})") from error


def ledger_path_for(report: Path | None) -> Path:
    """The path of the ledger: beside the report, or in a new temporary folder."""
    if report is None:
        return Path(tempfile.mkdtemp(prefix="phones-")) / "ledger.jsonl"
    return report.with_name(report.stem + ".ledger.jsonl")


def main(arguments: list[str] | None = None) -> int:
    """Runs the fleet; progress on standard error, the report on standard output. Exit 1 on bad input."""
    given = build_parser().parse_args(arguments)
    try:
        participants, platforms = read_participants(given.participants)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    options = FleetOptions(
        server=given.server,
        participants=participants,
        files=given.files,
        rate=given.rate,
        file_bytes=given.file_bytes,
        seconds=given.seconds,
        backfill_days=given.backfill_days,
        platforms=given.platforms,
        platform_of=platforms,
        seed=given.seed,
        zone=given.zone,
        ledger_path=ledger_path_for(given.report),
        threads=given.threads,
    )
    report = run_fleet(options, stop, say=lambda line: print(line, file=sys.stderr, flush=True))
    text = json.dumps(report, indent=2)
    if given.report:
        given.report.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
