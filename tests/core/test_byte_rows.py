"""Rows copied in bulk, against copying one by one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.byte_rows import copy_rows, starts_of


@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 70) | st.integers(0, 1500)), max_size=8))
def test_rows_are_copied_to_their_places_and_nothing_else_changes(rows: list[tuple[int, int]]) -> None:
    source = np.frombuffer(np.random.default_rng(1).bytes(4000), dtype=np.uint8)
    starts = np.array([start for start, _ in rows], dtype=np.int64)
    lengths = np.array([length for _, length in rows], dtype=np.int64)
    places = starts_of(lengths + 1)
    target = np.zeros(int((lengths + 1).sum()), dtype=np.uint8)
    copy_rows(target, places, source, starts, lengths)
    assert target.tobytes() == b"".join(source[a : a + n].tobytes() + b"\0" for a, n in rows)
