"""1-second ticks as CSV, ``YYYY-MM-DD HH:MM:SS,price`` without a header, in Indian time. Pure.

The whole file is read before its first event, so that a truncated file gives an error and not half
a day. One row becomes one tick; rows that cannot be read are reported with number and reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from math import isfinite
from typing import Final

from optionstream.producers.feeds.format import FeedInput
from optionstream.producers.feeds.frames import at_least_one, closed_frames
from optionstream.producers.feeds.products import product_of_index_file
from optionstream.producers.feeds.ticks.tick_rows import Unnumbered, tick_frame
from optionstream.producers.feeds.times import ist_ms
from optionstream.schemas.events import Heartbeat, TickFrame

SOURCE: Final = "ticks-1s"

_ROW: Final = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d):(\d\d),([-+0-9.eE]+)[ \t\r]*", re.ASCII)
_SHOWN_CHARS: Final = 60


def looks_like_ticks(head: bytes) -> bool:
    """True if one of the first lines is a tick row."""
    lines = head.decode("utf-8", "backslashreplace").split("\n")
    return any(_ROW.fullmatch(line) for line in lines)


def tick_events(file: FeedInput) -> Iterator[TickFrame | Heartbeat]:
    """Yield frames of one date each, closed by heartbeats. Empty lines are left out. Raises
    InputError when no row can be read."""
    product = product_of_index_file(file)
    lines = enumerate(file.source.body().decode("utf-8", "backslashreplace").split("\n"), 1)
    filled = ((number, line) for number, line in lines if line and not line.isspace())
    minutes: dict[tuple[str, str], int] = {}
    numbered = Unnumbered()
    parsed = file.parse_rows(filled, lambda line: numbered.row(*_parse(line, minutes)))
    rows = at_least_one([row for _, row in parsed], file)
    yield from closed_frames(rows, file.frame_ticks, partial(tick_frame, product, SOURCE))


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
