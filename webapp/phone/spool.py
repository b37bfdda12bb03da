"""Keeps large bodies on disk instead of in memory (PHONE-10), in nameless files that vanish when they are closed.

The files hold what phones sent, which the phones encrypted.
"""

import mmap
import tempfile
from collections.abc import Iterator
from io import BytesIO
from typing import IO

from webapp.stores import settings

PIECE_BYTES = 1 << 18


def spool_file() -> IO[bytes]:
    """A new nameless file under VAR_DIR. The system deletes it when it is closed, also after a crash."""
    folder = settings().var_dir / "spool"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return tempfile.TemporaryFile(dir=folder)


def spooled(pieces: Iterator[bytes]) -> mmap.mmap | bytes:
    """Writes all pieces to disk and returns their bytes, mapped from there into memory."""
    with spool_file() as file:
        for piece in pieces:
            file.write(piece)
        return contents_of(file)


def contents_of(file: IO[bytes]) -> mmap.mmap | bytes:
    """The bytes of a file. They stay readable after the file is closed."""
    if isinstance(file, BytesIO):
        return file.getvalue()
    file.flush()
    if not file.seek(0, 2):
        return b""
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def pieces_of(stream: IO[bytes]) -> Iterator[bytes]:
    while piece := stream.read(PIECE_BYTES):
        yield piece
