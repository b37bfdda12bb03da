"""Data streams: their table, and the parsing of names of raw files and chunks."""

from core.streams.paths import BadFileTime, UnknownStream, chunk_path, stream_of_path
from core.streams.table import SPECS, DataStream, Fix, Platform, StreamSpec, stream_by_number

__all__ = [
    "SPECS",
    "BadFileTime",
    "DataStream",
    "Fix",
    "Platform",
    "StreamSpec",
    "UnknownStream",
    "chunk_path",
    "stream_by_number",
    "stream_of_path",
]
