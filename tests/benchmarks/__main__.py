"""`python -m tests.benchmarks [NAME …]`: each benchmark in a fresh process, one JSON line each; all by default."""

import argparse
import subprocess
import sys

NAMES = (
    "device_file",
    "processing",
    "end_to_end",
    "prefect",
    "uploads",
    "thousand_phones",
    "get_data",
    "quantities",
    "beside",
    "portal",
    "audit",
    "sign_in",
    "rights",
    "designer",
    "events",
    "notifications",
    "answers",
    "exports",
    "forest",
)
MOST_SECONDS = 600


def main() -> int:
    """Exit status 1 when a benchmark fails; the others run all the same."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    names = parser.parse_args().names
    if unknown := set(names) - set(NAMES):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    failed = [name for name in names or NAMES if not run(name)]
    for name in failed:
        print(f"{name} failed", file=sys.stderr)
    return 1 if failed else 0


def run(name: str) -> bool:
    """Runs one to its end, or stops it when it takes too long; what it prints passes through."""
    process = subprocess.Popen([sys.executable, "-m", f"tests.benchmarks.bench_{name}"])
    try:
        return process.wait(MOST_SECONDS) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        if process.poll() is None:
            process.terminate()  # it takes its servers with it
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
