"""Fetches are cut so that the event loop soon has its turn, however dear the records are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optionstream.streams.engine.slices import Slices


def cut(slices: Slices, records: Sequence[Any], each_s: float) -> list[int]:
    """The sizes of the slices when each record takes so long."""
    sizes = []
    read: list[Any] = []
    for part in slices.cut(records):
        read += part
        sizes.append(len(part))
        slices.took(len(part), each_s * len(part), 0.02)
    assert read == records
    return sizes


def test_slices_become_as_large_as_fits_their_time() -> None:
    made = Slices()
    records = list(range(2_000))
    assert cut(made, records, 1e-6) == [16, 32, 64, 128, 256, 512, 512, 480]
    assert cut(made, records[:600], 1e-3) == [512, 20, 20, 20, 20, 8]
    assert cut(made, records[:3], 1.0) == [3]
    assert cut(made, records[:3], 1.0) == [1, 1, 1]
    assert cut(made, [], 1.0) == []
