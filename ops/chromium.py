"""`python -m ops.chromium`: installs a Chromium for the browser tests, or says that it cannot."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")


def main() -> None:
    """Installs Debian's package as root, else Playwright's own Chromium; without either, browser tests are skipped."""
    if any(shutil.which(name) for name in NAMES):
        return
    playwright = str(Path(sys.executable).with_name("playwright"))
    attempts = [[playwright, "install", "chromium"]]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        attempts.insert(0, ["sh", "-c", "apt-get update -qq && apt-get install -y -qq chromium"])
    for command in attempts:
        if subprocess.run(command, capture_output=True).returncode == 0:
            return
    print("No Chromium could be installed; the browser tests will be skipped.", file=sys.stderr)


if __name__ == "__main__":
    main()
