"""Option quotes one by one, and the accepted ones of a session in columns."""

from __future__ import annotations

from array import array
from itertools import repeat
from typing import NamedTuple

from optionstream.schemas.events import LEG_COLUMNS, OiUnit, OptionQuoteFrame
from optionstream.streams.kafka.records import RawRecord
from optionstream.streams.verify.sessions import Arrival

FIGURES = (*LEG_COLUMNS, "underlying_price")
"""The figures that a quote may have."""
PRICES = ("last", "bid", "ask")
"""Figures of which 0 means none."""
NOT_GIVEN = float("nan")
"""Stands in a column of figures where a quote has none."""


class Quote(NamedTuple):
    """One quote of a record, at ``position`` of its frame; ``figures`` as ``FIGURES``."""

    record: RawRecord
    frame: OptionQuoteFrame
    position: int
    ts_ms: int
    seq: int
    strike: float
    is_put: bool
    figures: tuple[float | None, ...]

    @property
    def arrival(self) -> Arrival:
        """Within source and session label, ``seq`` is the identity."""
        group = self.frame.source, self.frame.session, "seq"
        return Arrival(self.record, self.position, group, self.seq)


def quotes_of(record: RawRecord, frame: OptionQuoteFrame) -> list[Quote]:
    """Return the quotes of a frame in their order."""
    size = len(frame.ts_ms)
    absent: list[float | None] = [None] * size
    columns = [getattr(frame, name) or absent for name in FIGURES]
    rows = zip(
        repeat(record, size),
        repeat(frame, size),
        range(size),
        frame.ts_ms,
        frame.seq,
        frame.strike,
        (kind == "PE" for kind in frame.kind),
        zip(*columns, strict=True),
        strict=True,
    )
    return [Quote(*row) for row in rows]


class QuoteLog:
    """Columns of equal length, in the order of the log; ``sources`` and ``units`` are what the
    columns ``source`` and ``unit`` number."""

    def __init__(self) -> None:
        self.offset = array("q")
        self.ts = array("q")
        self.seq = array("q")
        self.ts_recv = array("q")
        self.strike = array("d")
        self.is_put = array("b")
        self.unit = array("b")
        self.source = array("l")
        self.figures = {name: array("d") for name in FIGURES}
        self.sources: list[str] = []
        self.units: tuple[OiUnit, OiUnit] = ("lots", "shares")

    def add_quote(self, quote: Quote) -> None:
        """Add an accepted quote."""
        self.offset.append(quote.record.offset)
        self.ts.append(quote.ts_ms)
        self.seq.append(quote.seq)
        self.ts_recv.append(quote.frame.ts_recv)
        self.strike.append(quote.strike)
        self.is_put.append(quote.is_put)
        self.unit.append(self.units.index(quote.frame.oi_unit))
        self.source.append(self._number(quote.frame.source))
        for column, value in zip(self.figures.values(), quote.figures, strict=True):
            column.append(NOT_GIVEN if value is None else value)

    def _number(self, source: str) -> int:
        if source not in self.sources:
            self.sources.append(source)
        return self.sources.index(source)
