"""`python -m tests.contact_sheet FOLDER`: pictures of each page, narrow and wide, light and dark, on `sheet.html`.

`-k WORD` as further arguments takes the pages whose name has the word in it.
"""

import os
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("python -m tests.contact_sheet FOLDER")
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    pictures = Path(__file__).parent / "pictures.py"
    command = [sys.executable, "-m", "pytest", "-q", "-o", "timeout=0", str(pictures), *sys.argv[2:]]
    sys.exit(subprocess.call(command, env=os.environ | {"PICTURES": str(folder)}))
