"""Sets of whole numbers kept as ranges: what has been seen of a numbered stream.

A stream that arrives in order, however long, is one range; every hole costs one more.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable


class RangeSet:
    """Disjoint, never adjacent, inclusive ranges in rising order."""

    __slots__ = ("_high", "_low")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._low: list[int] = []
        self._high: list[int] = []
        for low, high in ranges:
            self._low.append(low)
            self._high.append(high)

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._low, number) - 1
        return at >= 0 and number <= self._high[at]

    def add_number(self, number: int) -> bool:
        """Add one number; False if it was there."""
        return self.add_range(number, number)

    def add_range(self, low: int, high: int) -> bool:
        """Add ``low..high``; False, and nothing changes, if any number of it was there."""
        lows, highs = self._low, self._high
        if not highs or low > highs[-1]:
            if highs and low == highs[-1] + 1:
                highs[-1] = high
            else:
                lows.append(low)
                highs.append(high)
            return True
        at = bisect_right(lows, low)
        if (at and low <= highs[at - 1]) or (at < len(lows) and high >= lows[at]):
            return False
        joins_left = at > 0 and highs[at - 1] + 1 == low
        joins_right = at < len(lows) and high + 1 == lows[at]
        if joins_left and joins_right:
            highs[at - 1] = highs[at]
            del lows[at], highs[at]
        elif joins_left:
            highs[at - 1] = high
        elif joins_right:
            lows[at] = low
        else:
            lows.insert(at, low)
            highs.insert(at, high)
        return True

    def ranges(self) -> list[tuple[int, int]]:
        """Return the ranges, rising."""
        return list(zip(self._low, self._high, strict=True))


def cut_number(ranges: list[tuple[int, int]], number: int) -> bool:
    """Remove one number from disjoint, inclusive, rising ranges; False if none holds it."""
    at = bisect_right(ranges, number, key=_low) - 1
    if at < 0 or number > ranges[at][1]:
        return False
    low, high = ranges[at]
    ranges[at : at + 1] = [
        (first, last) for first, last in ((low, number - 1), (number + 1, high)) if first <= last
    ]
    return True


def _low(ends: tuple[int, int]) -> int:
    return ends[0]
