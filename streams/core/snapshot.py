"""The state of one product as bytes: a small hot part, and one block for every closed quarter-hour.

The hot part is written with every checkpoint; a block only when one of its bars closed or was
revised. Together they hold all that the next tick may depend on.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from optionstream.schemas.derived import Interval
from optionstream.streams.core.bars import SessionBars
from optionstream.streams.core.calendar import Session
from optionstream.streams.core.cells import BLOCK_MS, CELL_MS, Cell
from optionstream.streams.core.ranges import RangeSet
from optionstream.streams.core.ticks import Counts, ProductTicks, Rules, Waiting

_MINUTES = BLOCK_MS // CELL_MS
_Ids = list[tuple[int, str, str, list[int]]]
"""(minute, source, session label, ids)."""


class HotTicks(Struct, array_like=True):
    """What changes with every tick."""

    product: str
    counts: Counts
    known_at: int
    waiting: list[tuple[int, Waiting]]
    session: tuple[str, int, int, int] | None
    """IST date, open, close (UTC epoch ms), index."""
    watermark: int
    cells: dict[int, Cell]
    """Of the minutes still open."""
    seen: list[tuple[str, str, list[tuple[int, int]]]]
    ids: _Ids


class Block(Struct, array_like=True):
    """The closed minutes of one block of the session, and the revisions of its bars."""

    cells: dict[int, Cell]
    revisions: dict[Interval, dict[int, int]]
    ids: _Ids


_encode = msgspec.msgpack.Encoder().encode
_decode_block = msgspec.msgpack.Decoder(Block).decode


def hot_part(ticks: ProductTicks) -> HotTicks:
    """The hot part of a product's state."""
    bars = ticks.bars
    session, cells, watermark = None, {}, 0
    ids: _Ids = []
    if bars is not None:
        at = bars.session
        session = (at.date, at.open_ms, at.close_ms, at.index)
        watermark = bars.watermark
        cells = {minute: bars.cells[minute] for minute in _open_minutes(bars, bars.cells)}
        ids = _ids_in(ticks, _open_minutes(bars, ticks.seen_ids))
    return HotTicks(
        product=ticks.product,
        counts=ticks.counts,
        known_at=ticks.known_at,
        waiting=sorted(ticks.waiting.items()),
        session=session,
        watermark=watermark,
        cells=cells,
        seen=[(*feed, ranges.ranges()) for feed, ranges in sorted(ticks.seen.items())],
        ids=ids,
    )


def block_name(ticks: ProductTicks, block: int) -> str:
    """``NIFTY|1761536700000|3``: product, opening time of the session, block."""
    assert ticks.bars is not None
    return f"{ticks.product}|{ticks.bars.session.open_ms}|{block}"


def block_part(ticks: ProductTicks, block: int) -> bytes:
    """One block of a product's state."""
    bars = ticks.bars
    assert bars is not None
    minutes = [
        minute
        for minute in range(block * _MINUTES, (block + 1) * _MINUTES)
        if not bars.is_open(minute)
    ]
    return _encode(
        Block(
            cells={minute: bars.cells[minute] for minute in minutes if minute in bars.cells},
            revisions={
                name: {
                    window: revision
                    for window, revision in revisions.items()
                    if bars.block_of(name, window) == block
                }
                for name, revisions in bars.revisions.items()
            },
            ids=_ids_in(ticks, minutes),
        )
    )


def restored(hot: HotTicks, blocks: list[bytes], rules: Rules) -> ProductTicks:
    """The product's state from its parts."""
    ticks = ProductTicks(hot.product, rules)
    ticks.counts, ticks.known_at = hot.counts, hot.known_at
    ticks.waiting = dict(hot.waiting)
    if hot.session is None:
        return ticks
    date, opened, closed, index = hot.session
    bars = SessionBars(hot.product, Session(date, opened, closed, index))
    bars.restore_watermark(hot.watermark)
    ticks.bars = bars
    bars.cells = dict(hot.cells)
    ticks.seen = {(source, label): RangeSet(ranges) for source, label, ranges in hot.seen}
    _add_ids(ticks, hot.ids)
    for data in blocks:
        block = _decode_block(data)
        bars.cells.update(block.cells)
        for name, revisions in block.revisions.items():
            bars.revisions[name].update(revisions)
        _add_ids(ticks, block.ids)
    return ticks


def _open_minutes(bars: SessionBars, minutes: Iterable[int]) -> list[int]:
    """Those of ``minutes`` that are open."""
    first = bars.first_open()
    return [minute for minute in minutes if minute >= first]


def _ids_in(ticks: ProductTicks, minutes: list[int]) -> _Ids:
    return [
        (minute, *feed, sorted(ids))
        for minute in minutes
        for feed, ids in ticks.seen_ids.get(minute, {}).items()
    ]


def _add_ids(ticks: ProductTicks, rows: _Ids) -> None:
    for minute, source, label, ids in rows:
        ticks.seen_ids.setdefault(minute, {}).setdefault((source, label), set()).update(ids)
