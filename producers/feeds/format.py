"""A file format, and the input that its reader gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from optionstream.producers.feeds.files.content import Source
from optionstream.producers.feeds.hints import FeedHints
from optionstream.schemas.codec import is_product
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import MarketEvent
from optionstream.schemas.topics import RAW_FILES

Raw = TypeVar("Raw")
Parsed = TypeVar("Parsed")


@dataclass(frozen=True, slots=True)
class FeedInput:
    """A source with the hints for it.

    ``frame_ticks`` is the greatest number of ticks, candles or quotes in one frame; ``problems``
    is the list to which the reader adds what it could not use.
    """

    source: Source
    hints: FeedHints
    frame_ticks: int
    problems: list[str]

    @property
    def path(self) -> Path:
        """Path of the source."""
        return self.source.path

    @property
    def name(self) -> str:
        """Name of the source in errors."""
        return self.source.name

    def error(self, why: str) -> InputError:
        """Return an InputError that names the source."""
        return InputError(self.name, why)

    def parse_rows(
        self,
        rows: Iterable[tuple[int, Raw]],
        parse: Callable[[Raw], Parsed],
        noun: str = "row",
    ) -> Iterator[tuple[int, Parsed]]:
        """Yield each row that ``parse`` accepts with its number; report the others as problems.

        ``parse`` rejects a row with ValueError or msgspec.DecodeError.
        """
        for number, row in rows:
            try:
                parsed = parse(row)
            except (ValueError, msgspec.DecodeError) as error:
                self.problems.append(f"{noun} {number}: {error}")
            else:
                yield number, parsed

    def need_product(self, product: str | None) -> str:
        """Return the product. Raises InputError for None, naming the option to pass."""
        if product is None:
            raise self.error("no product in the file; pass --product NIFTY")
        if not is_product(product):
            raise self.error(f"{product!r} is not a product name: use upper-case letters, digits")
        return product

    def need_time(self, ts_ms: int | None) -> int:
        """Return the time. Raises InputError for None, naming the option to pass."""
        if ts_ms is None:
            raise self.error("no time in the file; pass --timestamp")
        return ts_ms

    def need_expiry(self, expiry: str | None) -> str:
        """Return the expiry. Raises InputError for None, naming the option to pass."""
        if expiry is None:
            raise self.error("no expiry date in the file; pass --expiry-date YYYY-MM-DD")
        return expiry


Recogniser = Callable[[bytes], bool]
Reader = Callable[[FeedInput], Iterable[MarketEvent]]


@dataclass(frozen=True, slots=True)
class Format:
    """A file format: its name, how it is recognised, how it is read.

    ``recognise`` gets the first unpacked bytes of a file (some kilobytes, without a byte-order
    mark) and never raises. ``read`` returns checked events and raises InputError.
    """

    name: str
    recognise: Recogniser
    read: Reader
    raw: str | None = RAW_FILES
    """The raw topic for its bytes, which says who wrote them; None if the bytes of the file do not
    contain its events."""
