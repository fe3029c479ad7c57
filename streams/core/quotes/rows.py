"""Single quotes of option contracts, taken from their frames."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from math import isfinite
from typing import Any, Final, NamedTuple

from optionstream.schemas import rejects
from optionstream.schemas.events import (
    LARGEST_FIGURE,
    LEG_COLUMNS,
    OiUnit,
    OptionKind,
    OptionQuoteFrame,
)
from optionstream.streams.core.market.calendar import Session
from optionstream.streams.core.ticks.columns import Feed

Column = list[float | None]

_NOT_NEGATIVE: Final = ("oi", "volume", "last", "bid", "ask")


class Origin(NamedTuple):
    """What the quotes of a frame have in common."""

    feed: Feed
    oi_unit: OiUnit
    ts_recv: int


class Quote(NamedTuple):
    """One quote. The first four fields order quotes and no two agree in all of them.

    ``offset`` is that of its record, ``position`` its place in the frame. ``figures`` are in the
    order of ``LEG_COLUMNS``, as the source has them, None where it has none.
    """

    ts: int
    seq: int
    offset: int
    position: int
    strike: float
    kind: OptionKind
    figures: tuple[float | None, ...]
    underlying_price: float | None
    origin: Origin

    @property
    def ts_recv(self) -> int:
        """Receipt time of the quote's frame, UTC epoch ms."""
        return self.origin.ts_recv

    def figures_fault(self) -> str | None:
        """Return ``bad_quote`` for a strike or figures that cannot be (rule 1), else None."""
        price = self.underlying_price
        figures = zip(LEG_COLUMNS, self.figures, strict=True)
        is_sound = (
            0 < self.strike <= LARGEST_FIGURE
            and (price is None or 0 < price <= LARGEST_FIGURE)
            and all(_are_figures(_known([value]), name in _NOT_NEGATIVE) for name, value in figures)
        )
        return None if is_sound else rejects.BAD_QUOTE

    def start_fault(self, session: Session) -> str | None:
        """Return None: a quote may be at any time of the session."""
        return None

    def identity(self, session: Session) -> tuple[Feed, int]:
        """Return what two equal quotes of a session have in common."""
        return self.origin.feed, self.seq

    def frame(self, product: str, expiry: str) -> OptionQuoteFrame:
        """Return a frame of this quote alone."""
        (source, session), unit, ts_recv = self.origin
        figures: dict[str, Any] = {
            name: None if value is None else [value]
            for name, value in zip(LEG_COLUMNS, self.figures, strict=True)
        }
        price = self.underlying_price
        return OptionQuoteFrame(
            product=product,
            expiry=expiry,
            source=source,
            session=session,
            ts_recv=ts_recv,
            oi_unit=unit,
            ts_ms=[self.ts],
            seq=[self.seq],
            strike=[self.strike],
            kind=[self.kind],
            underlying_price=None if price is None else [price],
            **figures,
        )


def quotes_of(frame: OptionQuoteFrame, offset: int) -> list[Quote]:
    """Return the quotes of a frame that came in the record at ``offset``."""
    unknown: Column = [None] * len(frame.ts_ms)
    columns = (getattr(frame, name) or unknown for name in LEG_COLUMNS)
    origin = Origin((frame.source, frame.session), frame.oi_unit, frame.ts_recv)
    rows = zip(
        frame.ts_ms,
        frame.seq,
        repeat(offset),
        range(len(frame.ts_ms)),
        frame.strike,
        frame.kind,
        zip(*columns, strict=True),
        frame.underlying_price or unknown,
        repeat(origin),
        strict=False,
    )
    return list(map(Quote._make, rows))


def is_sound_frame(frame: OptionQuoteFrame) -> bool:
    """True if no quote of the frame is refused for its figures, judged by columns."""
    figures: list[tuple[str, Column | None]] = [
        (name, getattr(frame, name)) for name in LEG_COLUMNS
    ]
    return (
        _are_prices(frame.strike)
        and _are_prices(_known(frame.underlying_price))
        and all(_are_figures(_known(column), name in _NOT_NEGATIVE) for name, column in figures)
    )


def _known(column: Column | None) -> list[float]:
    return [value for value in column or () if value is not None]


def _are_prices(values: Sequence[float]) -> bool:
    return _are_within(values, 0.0) and 0.0 not in values


def _are_figures(values: Sequence[float], not_negative: bool) -> bool:
    return _are_within(values, 0.0 if not_negative else -LARGEST_FIGURE)


def _are_within(values: Sequence[float], least: float) -> bool:
    """True if all are from ``least`` to the largest figure; a NaN shows in the sum."""
    return not values or (
        isfinite(sum(values)) and min(values) >= least and max(values) <= LARGEST_FIGURE
    )
