"""Fetches are cut so that the event loop soon has its turn, however dear the records are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optionstream.streams.engine.slices import SLICE_S, Slices


class Clock:
    """Goes on as much as each record takes."""

    def __init__(self) -> None:
        self.now = 0.0

    def cut(
        self, slices: Slices, records: Sequence[Any], each_s: float, slice_s: float = SLICE_S
    ) -> list[int]:
        sizes = []
        read: list[Any] = []
        for part in slices.cut(records, slice_s):
            read += part
            sizes.append(len(part))
            self.now += each_s * len(part)
        assert read == records
        return sizes


def test_a_lane_that_shares_the_loop_takes_shorter_slices() -> None:
    clock = Clock()
    made = Slices(lambda: clock.now)
    assert clock.cut(made, list(range(40)), 1e-3, 0.003) == [16, 3, 3, 3, 3, 3, 3, 3, 3]


def test_slices_become_as_large_as_fits_their_time() -> None:
    clock = Clock()
    made = Slices(lambda: clock.now)
    records = list(range(2_000))
    assert clock.cut(made, records, 1e-6) == [16, 32, 64, 128, 256, 512, 512, 480]
    assert clock.cut(made, records[:600], 1e-3) == [512, 20, 20, 20, 20, 8]
    assert clock.cut(made, records[:3], 1.0) == [3]
    assert clock.cut(made, records[:3], 1.0) == [1, 1, 1]
    assert clock.cut(made, [], 1.0) == []
