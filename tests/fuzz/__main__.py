"""`python -m tests.fuzz`: FUZZ_CASES requests (20,000) of FUZZ_SEED (a new one each time); figures as one JSON line."""

import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    """Exit status 1 when anything was found; the findings are printed before the figures."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        os.environ.setdefault("FUZZ_CASES", "20000")
        os.environ.setdefault("FUZZ_SEED", str(secrets.randbelow(1 << 31)))
        os.environ["FUZZ_REPORT"] = str(report)
        command = [sys.executable, "-m", "pytest", "-q", "-o", "timeout=0", str(Path(__file__).parent), *sys.argv[1:]]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            print(run.stdout, run.stderr, sep="\n", file=sys.stderr)
        if report.exists():
            print(report.read_text())
    return min(run.returncode, 1)


if __name__ == "__main__":
    sys.exit(main())
