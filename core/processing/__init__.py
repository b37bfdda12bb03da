"""Uploads to hourly chunks: plain functions over bytes and arrays, and around them queue, store and registry."""

from core.processing.binning import bin_files
from core.processing.merge import UnreadableChunk, merge_chunk
from core.processing.model import (
    BinnedBatch,
    ChunkKey,
    DropReason,
    FileProblem,
    FileReport,
    NewRows,
    RawFile,
    UnchunkedFile,
)

__all__ = [
    "BinnedBatch",
    "ChunkKey",
    "DropReason",
    "FileProblem",
    "FileReport",
    "NewRows",
    "RawFile",
    "UnchunkedFile",
    "UnreadableChunk",
    "bin_files",
    "merge_chunk",
]
