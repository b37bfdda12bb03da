"""Builds chunks in a folder from one participant's raw files in a folder, without database or store.

Used for golden cases, to examine a problem, and to rebuild chunks from an export of raw files.
"""

import base64
import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from core.chunks.binning import bin_files
from core.chunks.merge import UnreadableChunk, merge_chunk
from core.chunks.model import BinnedBatch, FileProblem, RawFile, UnchunkedFile
from core.streams import SPECS, DataStream, Platform

REGISTRY_NAME, PROBLEMS_NAME = "registry.json", "problems.json"
_UNCHUNKED_PREFIX = "raw/"
_CHUNK_NAME_FORMAT = "%Y-%m-%dT%H:%M:%S.csv"


class UnusableFolder(ValueError):
    """A given folder is missing, or does not hold an earlier run's output. The message says which."""


@dataclass(frozen=True)
class RegistryEntry:
    """A registry entry: a chunk, or a raw file that is not chunked (PROC-38, PROC-39).

    `path` is below `CHUNKED_DATA/<study>/<patient>/`, or starts with `raw/`; `time_bin` is ISO 8601 in UTC; `hash` is
    the base64 of the contents' MD5, empty for a file that is not chunked; `size` is in bytes.
    """

    path: str
    stream: str
    time_bin: str
    hash: str
    size: int
    survey: str | None
    chunked: bool


def build_chunks(
    input_dir: Path, existing_dir: Path | None, out_dir: Path, platform: Platform, now: datetime | None = None
) -> None:
    """Processes all files below `input_dir` as one batch, and writes the participant's resulting data to `out_dir`.

    `input_dir` holds plaintexts at their path below the participant's folder. Chunks and unchunked entries of earlier
    runs come from `existing_dir`. `out_dir` gets all chunks, old and new, `registry.json` and, about this run,
    `problems.json`: {file, reason, rows}. `now` (default: the present) sets how late a row may be. Raises
    UnusableFolder.
    """
    if not input_dir.is_dir():
        raise UnusableFolder(f"{input_dir} is not a folder")
    chunks = _existing_chunks(existing_dir) if existing_dir else {}
    unchunked = _existing_unchunked(existing_dir) if existing_dir else {}
    files = [
        RawFile(path.relative_to(input_dir).as_posix(), path.read_bytes(), platform)
        for path in input_dir.rglob("*")
        if path.is_file()
    ]
    batch = bin_files(files, now or datetime.now(UTC))
    _merge_into(chunks, batch, platform)
    unchunked |= {entry.path: entry for entry in map(_unchunked_entry, batch.unchunked)}

    for path, contents in chunks.items():
        target = out_dir / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(contents)
    out_dir.mkdir(parents=True, exist_ok=True)
    entries = sorted([*map(_chunk_entry, chunks, chunks.values()), *unchunked.values()], key=lambda entry: entry.path)
    _write_json(out_dir / REGISTRY_NAME, [asdict(entry) for entry in entries])
    problems = [{"file": problem.path, "reason": problem.reason, "rows": problem.rows} for problem in batch.problems]
    _write_json(out_dir / PROBLEMS_NAME, problems)


def content_hash(contents: bytes) -> str:
    """The registry's hash of a chunk: base64 of its MD5 (PROC-38)."""
    return base64.b64encode(hashlib.md5(contents, usedforsecurity=False).digest()).decode()


def _merge_into(chunks: dict[str, bytes], batch: BinnedBatch, platform: Platform) -> None:
    """Merges the batch into the chunks. If a chunk is unreadable, every file with rows for it fails."""
    for key, new in batch.groups.items():
        try:
            chunks[key.relative_path] = merge_chunk(key, platform, new, chunks.get(key.relative_path))
        except UnreadableChunk as error:
            feeding = [path for path, report in batch.reports.items() if key in report.keys]
            batch.problems += [FileProblem(path, str(error), rows=0, is_failed=True) for path in feeding]


def _existing_chunks(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        raise UnusableFolder(f"{folder} is not a folder")
    chunks = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.csv")}
    return {path: contents for path, contents in chunks.items() if not path.startswith(_UNCHUNKED_PREFIX)}


def _existing_unchunked(folder: Path) -> dict[str, RegistryEntry]:
    registry = folder / REGISTRY_NAME
    if not registry.exists():
        return {}
    try:
        entries = [RegistryEntry(**row) for row in json.loads(registry.read_bytes())]
    except (ValueError, TypeError) as error:
        raise UnusableFolder(f"{registry} is not a registry of an earlier run") from error
    return {entry.path: entry for entry in entries if not entry.chunked}


def _chunk_entry(path: str, contents: bytes) -> RegistryEntry:
    folder, *survey, name = path.split("/")
    try:
        spec = SPECS[DataStream(folder)]
        time_bin = datetime.strptime(name, _CHUNK_NAME_FORMAT).replace(tzinfo=UTC)
    except ValueError as error:
        raise UnusableFolder(f"{path} is not the path of a chunk") from error
    survey_id = survey[0] if survey and spec.is_chunked_by_survey else None
    size = len(contents)
    return RegistryEntry(path, folder, time_bin.isoformat(), content_hash(contents), size, survey_id, chunked=True)


def _unchunked_entry(file: UnchunkedFile) -> RegistryEntry:
    path, time_bin = _UNCHUNKED_PREFIX + file.path, file.time_bin.isoformat()
    return RegistryEntry(path, file.stream, time_bin, "", file.size_bytes, survey=None, chunked=False)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
