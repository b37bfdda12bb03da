"""One participant-day of accelerometer and GPS files to chunks, against a plain loop over rows.

`python -m tests.benchmarks.bench_processing` prints one JSON line: name, ratio to the loop in the same run, MB/s of
plaintext, the same for merging the day into chunks that already hold half of its rows, and for merging it into chunks
that hold all of them, and peak memory beyond the files in MB.
"""

from datetime import UTC, datetime

from core.chunks.binning import bin_files
from core.chunks.merge import merge_chunk
from core.chunks.model import RawFile
from core.streams import Platform
from tests.benchmarks.measure import best_seconds, growth_mb, inputs_for_memory, peak_memory_mb, report
from tests.benchmarks.participant_day import participant_day
from tests.reference import chunks as reference

NOW = datetime(2024, 6, 1, tzinfo=UTC)
PLATFORM = Platform.ANDROID


def build(files: list[RawFile], existing: dict[str, bytes]) -> dict[str, bytes]:
    """All chunks that a batch changes, by path."""
    groups = bin_files(files, NOW).groups
    return {
        key.relative_path: merge_chunk(key, PLATFORM, new, existing.get(key.relative_path))
        for key, new in groups.items()
    }


def main() -> None:
    """Runs the benchmark, or with `--memory` the part of it whose memory is measured."""
    if files := inputs_for_memory():
        print(growth_mb(lambda: build(files, {})))
        return
    day = participant_day()
    files = [RawFile(path, data, PLATFORM) for path, data in day]
    plain = [(path, data, PLATFORM) for path, data in day]
    chunks = build(files, {})
    assert chunks == reference.build(plain, {}, PLATFORM, NOW)
    half = {path: b"\n".join(contents.split(b"\n")[::2]) for path, contents in chunks.items()}
    assert build(files, half) == chunks
    fast = best_seconds(lambda: build(files, {}), 5)
    slow = best_seconds(lambda: reference.build(plain, {}, PLATFORM, NOW), 1)
    size_mb = sum(len(data) for _, data in day) / 1e6
    report(
        "processing, one participant-day",
        ratio=slow / fast,
        mb_per_s=size_mb / fast,
        mb_per_s_half_there=size_mb / best_seconds(lambda: build(files, half), 3),
        mb_per_s_all_there=size_mb / best_seconds(lambda: build(files, chunks), 3),
        ratio_all_there=best_seconds(lambda: reference.build(plain, chunks, PLATFORM, NOW), 1)
        / best_seconds(lambda: build(files, chunks), 3),
        peak_memory_mb=peak_memory_mb("tests.benchmarks.bench_processing", files),
    )


if __name__ == "__main__":
    main()
