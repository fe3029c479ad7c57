"""Rows of one file as frames, each of one IST date, and the heartbeats behind them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby, islice
from operator import attrgetter
from typing import Final, Protocol, TypeVar

from optionstream.producers.feeds.checked import check_event
from optionstream.producers.feeds.stamps import parse_date
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import CandleFrame, Heartbeat, OptionQuoteFrame, TickFrame
from optionstream.schemas.times import IST, to_ms

_SECONDS_DIGITS: Final = (9, 10)
_MILLISECONDS_DIGITS: Final = 13
LATEST_MS: Final = 253_370_764_800_000
"""Start of the year 9999; an instant from there on is none."""
_SHOWN_CHARS: Final = 40


def instant_ms(text: str) -> int:
    """UTC epoch ms of epoch seconds (9 or 10 digits) or milliseconds (13), of ISO 8601 with an
    offset or without one (Indian time), or of a date as ``stamps.parse_date`` takes it (its
    midnight in India). Fractions of a millisecond are cut off. Raises ValueError."""
    text = text.strip()
    ms = _digits_ms(text) if text.isascii() and text.isdigit() else None
    if ms is None:
        ms = to_ms(in_india(_moment(text)))
    if not 0 <= ms < LATEST_MS:
        raise ValueError(f"{text!r} lies outside the years 1970 to 9998")
    return ms


def in_india(moment: datetime) -> datetime:
    """The moment, with Indian time where it tells no offset."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=IST)


def _digits_ms(text: str) -> int | None:
    if len(text) in _SECONDS_DIGITS:
        return int(text) * 1000
    return int(text) if len(text) == _MILLISECONDS_DIGITS else None


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    try:
        return datetime.combine(parse_date(text), datetime.min.time())
    except ValueError:
        raise ValueError(f"{text[:_SHOWN_CHARS]!r} is no time") from None


class Dated(Protocol):
    """A row that knows the IST date it belongs to, ISO form."""

    @property
    def date(self) -> str: ...


Row = TypeVar("Row", bound=Dated)
Frame = TypeVar("Frame", TickFrame, CandleFrame, OptionQuoteFrame)
Closable = TypeVar("Closable", TickFrame, CandleFrame)


def at_least_one(rows: list[Row], name: str, problems: Sequence[str]) -> list[Row]:
    """The rows. Raises InputError naming ``name``, with the first problem, when there are none."""
    if not rows:
        why = problems[0] if problems else "no rows"
        raise InputError(name, f"nothing in it can be read; {why}")
    return rows


def dated_frames(
    rows: Iterable[Row], size: int, make: Callable[[str, list[Row]], Frame]
) -> Iterator[Frame]:
    """Frames of at most ``size`` neighbouring rows of one date, checked."""
    for date, chunk in _chunks(rows, size):
        yield check_event(make(date, chunk))


def closed_frames(
    rows: Sequence[Row], size: int, make: Callable[[str, list[Row]], Closable]
) -> Iterator[Closable | Heartbeat]:
    """The same, and behind the last row of each date a heartbeat at the end of trading.

    It says that the file has no more of that date, so that windows close. A date with a single
    row in a file of several dates gets none: one wrong stamp must not close a day.
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
    """15:45 IST of the date, behind the last close of a regular day; the end of the date when
    something came later (an evening session). The calendar of the reader limits it to the
    session."""
    regular = ist_ms(date, "15:45")
    return regular if last_ts <= regular else ist_ms(date, "23:59") + 59_999


def ist_ms(date: str, minute: str) -> int:
    """UTC epoch ms of ``2026-01-06``, ``09:15``. Raises ValueError."""
    ms = to_ms(datetime.fromisoformat(f"{date} {minute}").replace(tzinfo=IST))
    if ms < 0:
        raise ValueError(f"{date} lies before 1970")
    return ms


def _chunks(rows: Iterable[Row], size: int) -> Iterator[tuple[str, list[Row]]]:
    for date, run in groupby(rows, key=attrgetter("date")):
        while chunk := list(islice(run, size)):
            yield date, chunk
