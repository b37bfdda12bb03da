"""The contents of all chunks of a participant and stream, from raw files alone, in bounded memory.

Any raw file may hold rows of any hour, so the files of an hour are known only after all files were read. If all rows
fit in `WINDOW_BYTES`, as for most streams, one read is enough. Otherwise the first read finds the hours of each file;
then the files of each window of hours are read again: about two reads in all. The hours in the upload log are not
used: they are results of earlier processing, which may be what has to be corrected.
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

    The caller may empty each yielded dictionary, to free memory early.

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
