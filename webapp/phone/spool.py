"""Large bodies on disk instead of in memory (PHONE-10): files as phones encrypted them, gone when they are closed."""

import mmap
import tempfile
from collections.abc import Iterator
from io import BytesIO
from typing import IO

from webapp.stores import settings

PIECE_BYTES = 1 << 18


def spool_file() -> IO[bytes]:
    """A nameless file under VAR_DIR, which a crash does not leave behind."""
    folder = settings().var_dir / "spool"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return tempfile.TemporaryFile(dir=folder)


def spooled(pieces: Iterator[bytes]) -> mmap.mmap | bytes:
    """The bytes of all pieces, as memory that the disk holds."""
    with spool_file() as file:
        for piece in pieces:
            file.write(piece)
        return contents_of(file)


def contents_of(file: IO[bytes]) -> mmap.mmap | bytes:
    """What is in a file, which may be closed and deleted meanwhile."""
    if isinstance(file, BytesIO):
        return file.getvalue()
    file.flush()
    if not file.seek(0, 2):
        return b""
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def pieces_of(stream: IO[bytes]) -> Iterator[bytes]:
    while piece := stream.read(PIECE_BYTES):
        yield piece
