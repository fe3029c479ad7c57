"""Rows of one file as checked frames of one IST date each, with closing heartbeats. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice
from operator import attrgetter
from typing import Protocol, TypeVar

from optionstream.producers.feeds.format import FeedInput
from optionstream.producers.feeds.times import ist_ms
from optionstream.schemas.checks import check_candles, check_chain, check_frame, check_quotes
from optionstream.schemas.events import (
    CandleFrame,
    ChainSnapshot,
    Heartbeat,
    MarketEvent,
    OptionQuoteFrame,
    TickFrame,
)


class Dated(Protocol):
    """A row with the IST date it belongs to, ISO form."""

    @property
    def date(self) -> str: ...


Value = TypeVar("Value")
Event = TypeVar("Event", bound=MarketEvent)
Row = TypeVar("Row", bound=Dated)
Frame = TypeVar("Frame", TickFrame, CandleFrame, OptionQuoteFrame)
Closable = TypeVar("Closable", TickFrame, CandleFrame)


def check_event(event: Event) -> Event:
    """Return the event. Raises RecordError when a frame or a chain breaks its rules."""
    if isinstance(event, TickFrame):
        check_frame(event)
    elif isinstance(event, CandleFrame):
        check_candles(event)
    elif isinstance(event, OptionQuoteFrame):
        check_quotes(event)
    elif isinstance(event, ChainSnapshot):
        check_chain(event)
    return event


def at_least_one(rows: list[Row], file: FeedInput) -> list[Row]:
    """Return the rows. Raises InputError with the first problem if there are none."""
    if not rows:
        why = file.problems[0] if file.problems else "no rows"
        raise file.error(f"nothing in it can be read; {why}")
    return rows


def dated_frames(
    rows: Iterable[Row], size: int, make: Callable[[str, list[Row]], Frame]
) -> Iterator[Frame]:
    """Yield checked frames of at most ``size`` neighbouring rows of one date."""
    for date, chunk in _chunks(rows, size):
        yield check_event(make(date, chunk))


def closed_frames(
    rows: Sequence[Row], size: int, make: Callable[[str, list[Row]], Closable]
) -> Iterator[Closable | Heartbeat]:
    """Yield the same frames, and after the last row of each date a heartbeat at its end of trading.

    The heartbeat says that the file has no more of that date, so that windows close. A date with a
    single row in a file of several dates gets none: one wrong stamp must not close a day.
    """
    left = Counter(row.date for row in rows)
    lone = {date for date, count in left.items() if count == 1} if len(left) > 1 else set()
    last_ts: dict[str, int] = {}
    for date, chunk in _chunks(rows, size):
        frame = check_event(make(date, chunk))
        yield frame
        left[date] -= len(chunk)
        last_ts[date] = max(last_ts.get(date, 0), frame.ts_recv)
        if not left[date] and date not in lone:
            at = end_of_trading_ms(date, last_ts[date])
            yield Heartbeat(product=frame.product, source=frame.source, ts_event=at, ts_recv=at)


def end_of_trading_ms(date: str, last_ts: int) -> int:
    """Return 15:45 IST of the date, which is after the close of every regular day.

    If something came later (an evening session) it is the end of the date. Readers limit it to
    the session by their calendar.
    """
    regular = ist_ms(date, "15:45")
    return regular if last_ts <= regular else ist_ms(date, "23:59") + 59_999


def none_if_empty(column: list[Value | None]) -> list[Value | None] | None:
    """Return the column, None if every value is None: frames leave such columns out."""
    return None if column.count(None) == len(column) else column


def _chunks(rows: Iterable[Row], size: int) -> Iterator[tuple[str, list[Row]]]:
    for date, run in groupby(rows, key=attrgetter("date")):
        while chunk := list(islice(run, size)):
            yield date, chunk
