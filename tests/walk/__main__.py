"""`python -m tests.walk FOLDER [WALK]`: a walk through the portal as pictures, in order on FOLDER/index.html.

The walks are `first_day` (the default): a study team's first day; `a_survey`: building, trying, scheduling and
answering a survey; `an_alert`: a scale, its score, and an answer that calls for somebody.
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
WALKS = ("first_day", "a_survey", "an_alert")

if __name__ == "__main__":
    folder, walk, *rest = [*sys.argv[1:], *WALKS[:1]] if len(sys.argv) == 2 else [*sys.argv[1:], "", ""]
    if walk not in WALKS or any(rest):
        sys.exit(f"python -m tests.walk FOLDER [{'|'.join(WALKS)}]")
    Path(folder).mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-o", "timeout=0", str(HERE / f"{walk}.py")]
    sys.exit(subprocess.call(command, env=os.environ | {"PICTURES": str(Path(folder).resolve())}))
