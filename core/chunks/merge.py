"""Merges new rows into the chunk of their hour (PROC-32 to PROC-36)."""

from core.chunks.model import ChunkKey, NewRows
from core.chunks.rows import Rows
from core.chunks.times import MIN_DIGITS
from core.streams import SPECS, Platform


class UnreadableChunk(ValueError):
    """A stored chunk holds a row whose first field is not a time: its group must fail (PROC-33)."""


def merge_chunk(key: ChunkKey, platform: Platform | None, new: NewRows, existing: bytes | None) -> bytes:
    """The contents of a chunk after `new` is merged into `existing`, its contents so far (None: there is no chunk).

    `platform` is the participant's current one, which decides the header (PROC-36). Merging rows that the chunk
    already holds gives the same bytes. Raises UnreadableChunk.
    """
    header = SPECS[key.stream].chunk_header(platform).encode()
    old = existing.partition(b"\n")[2] if existing else b""
    if not old:
        return b"\n".join([header, new.text[:-1]])
    return b"\n".join([header, _merged(key, old, new)])


def _merged(key: ChunkKey, old: bytes, new: NewRows) -> memoryview:
    """Old and new rows, sorted (old before new at equal times) and without repeats; no line feed at the end."""
    rows = Rows.of_text(old, new.text[:-1])
    fields = rows.first_fields()
    if not (fields.is_number & (fields.digits >= MIN_DIGITS)).all():
        raise UnreadableChunk(f"a row of the chunk {key.relative_path} does not start with a time")
    return rows.in_order(fields.value).text().data[:-1]
