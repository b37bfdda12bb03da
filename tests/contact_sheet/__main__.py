"""`python -m tests.contact_sheet FOLDER [WORD]`: pictures of the portal's pages, on FOLDER/sheet.html.

Each page narrow and wide, light and dark; with WORD those whose endpoint has it in its name.
"""

import os
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("python -m tests.contact_sheet FOLDER [WORD]")
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    pictures = Path(__file__).parent / "pictures.py"
    command = [sys.executable, "-m", "pytest", "-q", "-o", "timeout=0", str(pictures)]
    sys.exit(subprocess.call(command, env=os.environ | {"PICTURES": str(folder), "PAGES": "".join(sys.argv[2:3])}))
