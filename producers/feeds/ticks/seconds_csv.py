"""1-second ticks as CSV, ``YYYY-MM-DD HH:MM:SS,price`` without a header, in Indian time. Pure.

The whole file is read before its first event, so that a file cut short gives an error and not
half a day. One row becomes one tick; rows that cannot be read are told with number and reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from math import isfinite
from typing import Final

from optionstream.producers.feeds.ticks.tick_rows import TickRow, Unnumbered, tick_frame
from optionstream.producers.feeds.times import at_least_one, closed_frames, ist_ms
from optionstream.schemas.events import Heartbeat, TickFrame

SOURCE: Final = "ticks-1s"

_ROW: Final = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d):(\d\d),([-+0-9.eE]+)[ \t\r]*", re.ASCII)
_SHOWN_CHARS: Final = 60


def looks_like_ticks(head: bytes) -> bool:
    """Whether one of the first whole lines is a tick row."""
    lines = head.decode("utf-8", "backslashreplace").split("\n")
    return any(_ROW.fullmatch(line) for line in lines)


def tick_events(
    body: bytes, name: str, product: str, frame_ticks: int, problems: list[str]
) -> Iterator[TickFrame | Heartbeat]:
    """Frames of one date each, closed by heartbeats. Raises InputError when no row can be read."""
    rows = at_least_one(read_rows(body, problems), name, problems)
    yield from closed_frames(rows, frame_ticks, partial(tick_frame, product, SOURCE))


def read_rows(body: bytes, problems: list[str]) -> list[TickRow]:
    """Every readable row in file order; empty lines are passed over."""
    minutes: dict[tuple[str, str], int] = {}
    numbered = Unnumbered()
    rows: list[TickRow] = []
    for number, line in enumerate(body.decode("utf-8", "backslashreplace").split("\n"), 1):
        if not line or line.isspace():
            continue
        try:
            rows.append(numbered.row(*_parse(line, minutes)))
        except ValueError as error:
            problems.append(f"row {number}: {error}")
    return rows


def _parse(line: str, minutes: dict[tuple[str, str], int]) -> tuple[str, int, float]:
    found = _ROW.fullmatch(line)
    if found is None:
        raise ValueError(f"{line[:_SHOWN_CHARS]!r} is not 'YYYY-MM-DD HH:MM:SS,price'")
    date, minute, second, text = found.groups()
    base = minutes.get((date, minute))
    if base is None:
        base = minutes[date, minute] = ist_ms(date, minute)
    if second > "59":
        raise ValueError(f"second must be in 0..59, not {second}")
    price = float(text)
    if not isfinite(price):
        raise ValueError(f"price {text} is not finite")
    return date, base + int(second) * 1000, price
