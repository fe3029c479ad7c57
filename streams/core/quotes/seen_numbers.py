"""The numbers of accepted quotes, in memory and on pages for the state."""

from __future__ import annotations

from typing import Final

from optionstream.streams.core.ranges import RangeSet
from optionstream.streams.core.ticks.columns import Feed

Page = list[tuple[Feed, int, int]]
"""Ranges of numbers, both ends included."""

PAGE: Final = 1_024
"""Ranges of seen numbers on a full page."""


class SeenNumbers:
    """The numbers of accepted quotes of one session, by feed.

    Where a feed counts through all its contracts, each frame of an expiry is a range of its own. So
    the ranges are also kept on pages in the order they began: a full page never changes again and
    need not be written with every checkpoint.
    """

    def __init__(self) -> None:
        self.page: Page = []
        """The page that is being filled."""
        self._full: list[Page] = []
        self._ranges: dict[Feed, RangeSet] = {}

    def has_number(self, feed: Feed, number: int) -> bool:
        """True if the number was added."""
        return feed in self._ranges and number in self._ranges[feed]

    def add_number(self, feed: Feed, number: int) -> bool:
        """Add a number; False if it was there."""
        ranges = self._ranges.get(feed)
        if ranges is None:
            ranges = self._ranges[feed] = RangeSet()
        if not ranges.add_range(number, number):
            return False
        page = self.page
        if page:
            last_feed, low, high = page[-1]
            if number == high + 1 and feed == last_feed:
                page[-1] = feed, low, number
                return True
            if len(page) == PAGE:
                self._full.append(page)
                self.page = page = []
        page.append((feed, number, number))
        return True

    def add_page(self, page: Page) -> None:
        """Add the ranges of a page, which becomes the one that is being filled."""
        self.page = page
        for feed, low, high in page:
            self._ranges.setdefault(feed, RangeSet()).add_range(low, high)

    def take_full(self) -> list[Page]:
        """Return the pages filled since the last call."""
        full, self._full = self._full, []
        return full
