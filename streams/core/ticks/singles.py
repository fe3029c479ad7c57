"""Single ticks and candles, applied by themselves or held for their session."""

from __future__ import annotations

from math import inf

from msgspec import Struct

from optionstream.schemas import rejects
from optionstream.schemas.events import CandleFrame, TickFrame
from optionstream.streams.core.market.calendar import Session
from optionstream.streams.core.rules import price_fault
from optionstream.streams.core.ticks.cells import CELL_MS, Cell, cell_of_candle, new_cell
from optionstream.streams.core.ticks.columns import Columns, Feed

Identity = tuple[Feed, str, int, int]


class SingleTick(Struct, array_like=True, tag="tick"):
    """A tick. ``order`` is its identity, unless it has an ``id``."""

    feed: Feed
    ts: int
    price: float
    order: int
    volume: int | None
    id: int | None
    ts_recv: int
    offset: int
    """Offset of the record it came in, for the reject if its session never starts."""
    position: int
    """Position in that record."""

    def figures_fault(self) -> str | None:
        """Return ``bad_price`` for a price that is not finite or not above 0, else None."""
        return price_fault(self.price)

    def start_fault(self, session: Session) -> str | None:
        """Return None: a tick may be at any time of the session."""
        return None

    def identity(self, session: Session) -> Identity:
        """Return what two equal events of a session have in common."""
        if self.id is None:
            return self.feed, "seq", 0, self.order
        return self.feed, "id", (self.ts - session.open_ms) // CELL_MS, self.id

    def last_ts(self, session: Session) -> int:
        """Return the time that it reaches, UTC epoch ms."""
        return self.ts

    def cell(self, session: Session) -> Cell:
        """Return the aggregate of this tick alone."""
        return new_cell(self.ts, self.order, self.price, self.volume)

    def frame(self, product: str) -> TickFrame:
        """Return a frame of this tick alone."""
        source, label = self.feed
        return TickFrame(
            product=product,
            source=source,
            session=label,
            ts_recv=max(0, self.ts_recv),
            ts_ms=[self.ts],
            price=[self.price],
            seq=[self.order],
            volume=None if self.volume is None else [self.volume],
            tick_id=None if self.id is None else [self.id],
        )


class SingleCandle(Struct, array_like=True, tag="candle"):
    """A candle; ``ts`` is its start. Its end is never after the close of its session."""

    feed: Feed
    ts: int
    interval_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: int | None
    ts_recv: int
    offset: int
    position: int

    def figures_fault(self) -> str | None:
        """Return ``bad_candle`` for prices or a volume that cannot be, else None."""
        is_sound = (
            0 < self.low <= self.open <= self.high < inf
            and self.low <= self.close <= self.high
            and (self.volume is None or self.volume >= 0)
        )
        return None if is_sound else rejects.BAD_CANDLE

    def start_fault(self, session: Session) -> str | None:
        """Return ``misaligned_candle`` unless it starts a whole number of its lengths after the
        open."""
        is_aligned = (self.ts - session.open_ms) % self.interval_ms == 0
        return None if is_aligned else rejects.MISALIGNED_CANDLE

    def identity(self, session: Session) -> Identity:
        """Return what two equal events of a session have in common."""
        return self.feed, "candle", self.interval_ms, self.ts

    def last_ts(self, session: Session) -> int:
        """Return the time that it reaches, UTC epoch ms."""
        return min(self.ts + self.interval_ms, session.close_ms) - 1

    def cell(self, session: Session) -> Cell:
        """Return the aggregate of this candle alone, in the minute of its start."""
        return cell_of_candle(
            self.ts,
            self.last_ts(session),
            self.interval_ms // CELL_MS,
            (self.open, self.high, self.low, self.close),
            self.volume,
        )

    def frame(self, product: str) -> CandleFrame:
        """Return a frame of this candle alone."""
        source, label = self.feed
        return CandleFrame(
            product=product,
            source=source,
            session=label,
            ts_recv=max(0, self.ts_recv),
            interval_ms=self.interval_ms,
            start_ms=[self.ts],
            open=[self.open],
            high=[self.high],
            low=[self.low],
            close=[self.close],
            volume=None if self.volume is None else [self.volume],
        )


Single = SingleTick | SingleCandle


def tick_at(columns: Columns, at: int, offset: int, position: int) -> SingleTick:
    """Return the tick at a position of columns, which came in the record at ``offset``."""
    return SingleTick(
        columns.feed,
        columns.ts[at],
        columns.price[at],
        columns.order[at],
        None if columns.volume is None else columns.volume[at],
        None if columns.ids is None else columns.ids[at],
        columns.recv_of(at),
        offset,
        position,
    )


def candle_at(frame: CandleFrame, at: int, offset: int) -> SingleCandle:
    """Return the candle at a position of a frame, which came in the record at ``offset``."""
    return SingleCandle(
        (frame.source, frame.session),
        frame.start_ms[at],
        frame.interval_ms,
        frame.open[at],
        frame.high[at],
        frame.low[at],
        frame.close[at],
        None if frame.volume is None else frame.volume[at],
        frame.ts_recv,
        offset,
        at,
    )
