"""`python -m tests.walk FOLDER`: a study team's first day in the portal as pictures, in order on FOLDER/index.html."""

import os
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("python -m tests.walk FOLDER")
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    steps = Path(__file__).parent / "first_day.py"
    command = [sys.executable, "-m", "pytest", "-q", "-o", "timeout=0", str(steps)]
    sys.exit(subprocess.call(command, env=os.environ | {"PICTURES": str(folder)}))
