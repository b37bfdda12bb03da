"""The contents of all chunks of a participant and stream, from raw files alone, in bounded memory.

Any raw file may hold rows of any hour, so which files an hour needs is known only after all were read. What fits in
`WINDOW_BYTES` is kept while they are read, and that is it for most streams. Else they are read once to learn who feeds
which hour, then window by window of hours, each time only those that feed it: about twice in all. The upload log's
hours are not used for that: they are what processing found at the time, and that may be what is to be put right.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from core.chunks.merge import merge_chunk
from core.chunks.model import ChunkKey, NewRows
from core.reprocessing.raw_files import RawReader
from core.streams import Platform

WINDOW_BYTES = 128 << 20
Contents = dict[ChunkKey, bytes]


def rebuild(reader: RawReader, paths: Sequence[str], platform: Platform) -> Iterator[Contents]:
    """Contents by chunk, window after window; each chunk comes once and whole. Raises StoreUnavailable.

    What is given belongs to the caller, who does well to take out of it what is done with.

    Rows of equal times stand in the order of their files' paths, which are given in ascending order.
    """

    def is_wanted(key: ChunkKey) -> bool:
        return key.time_bin in reader.hours

    feeding: dict[str, list[ChunkKey]] = {}
    sizes: Counter[ChunkKey] = Counter()
    total = 0
    contents: Contents = {}
    for batch in reader.read(paths):
        for file in batch.reports.values():
            if keys := [key for key in file.keys if is_wanted(key)]:
                feeding[reader.folder + file.path] = keys
        for key in filter(is_wanted, batch.groups):
            sizes[key] += len(batch.groups[key].text)
            total += len(batch.groups[key].text)
        if total > WINDOW_BYTES:
            contents.clear()
        else:
            _merge_into(contents, batch.groups, platform, is_wanted)
    if total <= WINDOW_BYTES:
        yield contents
        return
    for window in _windows(sizes):
        contents = {}
        for batch in reader.read(sorted(path for path, keys in feeding.items() if not window.isdisjoint(keys))):
            _merge_into(contents, batch.groups, platform, window.__contains__)
        yield contents


def _merge_into(
    contents: Contents, groups: Mapping[ChunkKey, NewRows], platform: Platform, is_wanted: Callable[[ChunkKey], bool]
) -> None:
    for key, rows in groups.items():
        if is_wanted(key):
            contents[key] = merge_chunk(key, platform, rows, contents.get(key))


def _windows(sizes: Mapping[ChunkKey, int]) -> Iterator[set[ChunkKey]]:
    """Chunks that stand together in time, with at most `WINDOW_BYTES` of rows, but at least one chunk."""
    window: set[ChunkKey] = set()
    total = 0
    for key in sorted(sizes, key=lambda key: (key.hour, key)):
        if window and total + sizes[key] > WINDOW_BYTES:
            yield window
            window, total = set(), 0
        window.add(key)
        total += sizes[key]
    yield window
