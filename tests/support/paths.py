"""Where the project and its golden cases are."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
VECTORS = REPOSITORY / "tests" / "vectors"
DEVICE_FILES = VECTORS / "device_files"
