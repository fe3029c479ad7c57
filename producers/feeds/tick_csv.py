"""1-second ticks as CSV, ``YYYY-MM-DD HH:MM:SS,price`` without a header, in Indian time. Pure.

The whole file is read before its first event, so that a file cut short gives an error and not
half a day. One row becomes one tick; rows that cannot be read are told with number and reason.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby, islice
from math import isfinite
from operator import attrgetter
from typing import Final, NamedTuple

from optionstream.producers.feeds.checked import check_event
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import Heartbeat, TickFrame
from optionstream.schemas.identity import tick_id
from optionstream.schemas.times import IST, to_ms

SOURCE: Final = "ticks-1s"

_ROW: Final = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d):(\d\d),([-+0-9.eE]+)[ \t\r]*", re.ASCII)
_SHOWN_CHARS: Final = 60


class TickRow(NamedTuple):
    """One row: ``ts_ms`` UTC epoch ms, ``date`` the IST date as written, price in rupees."""

    date: str
    ts_ms: int
    price: float
    seq: int
    """Number of the row within (file, date), from 1."""
    id: int
    """Hash of second, price and occurrence of both within the file."""


def looks_like_ticks(head: bytes) -> bool:
    """Whether one of the first whole lines is a tick row."""
    lines = head.decode("utf-8", "backslashreplace").split("\n")
    return any(_ROW.fullmatch(line) for line in lines)


def tick_events(
    body: bytes, name: str, product: str, frame_ticks: int, problems: list[str]
) -> Iterator[TickFrame | Heartbeat]:
    """Frames of one date each, and a heartbeat behind the last row of each date.

    The heartbeat lies at the end of trading, so that windows close; a date with a single row in a
    file of several dates gets none, for one wrong stamp must not close a day. Raises InputError
    when no row can be read.
    """
    rows = read_rows(body, problems)
    if not rows:
        raise InputError(name, f"no row can be read; {problems[0] if problems else 'no rows'}")
    left = Counter(row.date for row in rows)
    lone = {date for date, count in left.items() if count == 1} if len(left) > 1 else set()
    last_ts: dict[str, int] = {}
    for date, run in groupby(rows, key=attrgetter("date")):
        for chunk in _chunks(run, frame_ticks):
            frame = _frame(product, date, chunk)
            yield check_event(frame)
            left[date] -= len(chunk)
            last_ts[date] = max(last_ts.get(date, 0), frame.ts_recv)
        if not left[date] and date not in lone:
            at = end_of_trading_ms(date, last_ts[date])
            yield Heartbeat(product=product, source=SOURCE, ts_event=at, ts_recv=at)


def read_rows(body: bytes, problems: list[str]) -> list[TickRow]:
    """Every readable row in file order; empty lines are passed over."""
    numbers: dict[str, int] = {}
    occurrences: dict[tuple[int, float], int] = {}
    minutes: dict[tuple[str, str], int] = {}
    rows: list[TickRow] = []
    for number, line in enumerate(body.decode("utf-8", "backslashreplace").split("\n"), 1):
        if not line or line.isspace():
            continue
        try:
            date, ts_ms, price = _parse(line, minutes)
        except ValueError as error:
            problems.append(f"row {number}: {error}")
            continue
        seq = numbers[date] = numbers.get(date, 0) + 1
        same = occurrences.get((ts_ms, price), 0)
        occurrences[ts_ms, price] = same + 1
        rows.append(TickRow(date, ts_ms, price, seq, tick_id(ts_ms, price, None, same)))
    return rows


def end_of_trading_ms(date: str, last_ts: int) -> int:
    """15:45 IST of the date, behind the last close of a regular day; the end of the date when a
    tick came later (an evening session). The calendar of the reader limits it to the session."""
    regular = _ist_ms(date, "15:45")
    return regular if last_ts <= regular else _ist_ms(date, "23:59") + 59_999


def _parse(line: str, minutes: dict[tuple[str, str], int]) -> tuple[str, int, float]:
    found = _ROW.fullmatch(line)
    if found is None:
        raise ValueError(f"{line[:_SHOWN_CHARS]!r} is not 'YYYY-MM-DD HH:MM:SS,price'")
    date, minute, second, text = found.groups()
    base = minutes.get((date, minute))
    if base is None:
        base = minutes[date, minute] = _ist_ms(date, minute)
    if second > "59":
        raise ValueError(f"second must be in 0..59, not {second}")
    price = float(text)
    if not isfinite(price):
        raise ValueError(f"price {text} is not finite")
    return date, base + int(second) * 1000, price


def _ist_ms(date: str, minute: str) -> int:
    ms = to_ms(datetime.fromisoformat(f"{date} {minute}").replace(tzinfo=IST))
    if ms < 0:
        raise ValueError(f"{date} lies before 1970")
    return ms


def _chunks(rows: Iterable[TickRow], size: int) -> Iterator[list[TickRow]]:
    source = iter(rows)
    while chunk := list(islice(source, size)):
        yield chunk


def _frame(product: str, date: str, rows: list[TickRow]) -> TickFrame:
    stamps = [row.ts_ms for row in rows]
    return TickFrame(
        product=product,
        source=SOURCE,
        session=date,
        ts_recv=max(stamps),
        ts_ms=stamps,
        price=[row.price for row in rows],
        seq=[row.seq for row in rows],
        tick_id=[row.id for row in rows],
    )
