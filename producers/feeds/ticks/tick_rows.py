"""Rows of ticks and their frames, for every feed that has ticks. Pure."""

from __future__ import annotations

from typing import NamedTuple

from optionstream.producers.feeds.frames import none_if_empty
from optionstream.schemas.events import TickFrame
from optionstream.schemas.identity import tick_id


class TickRow(NamedTuple):
    """One tick: ``ts_ms`` and ``ts_recv`` UTC epoch ms, ``price`` in rupees, ``volume`` of the
    day so far. ``id`` is None where the source numbers its ticks (``seq``) itself."""

    date: str
    """The IST date of ``ts_ms``."""
    ts_ms: int
    ts_recv: int
    price: float
    volume: int | None
    seq: int
    id: int | None


class Unnumbered:
    """Numbers the ticks of one file whose source numbers nothing.

    ``seq`` counts the ticks of a date from 1; ``id`` is the hash of time, price, volume and of how
    many equal ticks came before in the file. So the same ticks in another file are the same, and
    two equal ticks of one second are two.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._occurrences: dict[tuple[int, float, int | None], int] = {}

    def row(self, date: str, ts_ms: int, price: float, volume: int | None = None) -> TickRow:
        """Return the next tick of the file; it was received when it happened."""
        seq = self._numbers[date] = self._numbers.get(date, 0) + 1
        same = self._occurrences.get((ts_ms, price, volume), 0)
        self._occurrences[ts_ms, price, volume] = same + 1
        return TickRow(date, ts_ms, ts_ms, price, volume, seq, tick_id(ts_ms, price, volume, same))


def tick_frame(product: str, source: str, date: str, rows: list[TickRow]) -> TickFrame:
    """Return a frame labelled with the date, received when its latest tick was. ``volume`` and
    ``tick_id`` are None when no tick has one."""
    ids = [row.id for row in rows if row.id is not None]
    return TickFrame(
        product=product,
        source=source,
        session=date,
        ts_recv=max(row.ts_recv for row in rows),
        ts_ms=[row.ts_ms for row in rows],
        price=[row.price for row in rows],
        seq=[row.seq for row in rows],
        volume=none_if_empty([row.volume for row in rows]),
        tick_id=ids or None,
    )
