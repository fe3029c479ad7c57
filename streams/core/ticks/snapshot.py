"""The state of one product as bytes: a small hot part, and one block for every quarter-hour.

The hot part is written with every checkpoint; a block only if a minute of it ended or something
in it was revised. Together they hold all that the next event may depend on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from optionstream.schemas.derived import Interval
from optionstream.streams.core.counts import Counts
from optionstream.streams.core.market.calendar import Session
from optionstream.streams.core.rules import Rules
from optionstream.streams.core.ticks.cells import Cell
from optionstream.streams.core.ticks.columns import Feed
from optionstream.streams.core.ticks.holes import Hole, Numbers
from optionstream.streams.core.ticks.minutes import MINUTES
from optionstream.streams.core.ticks.product import ProductTicks
from optionstream.streams.core.ticks.session_ticks import IdRow, SessionTicks
from optionstream.streams.core.ticks.silences import Silence
from optionstream.streams.core.ticks.singles import Single

_BLOCK_MINUTES: Final = 15
"""Ended minutes are stored by blocks, and all that starts in a minute in the block of it."""


class HotSession(Struct, array_like=True):
    """What changes with every tick of a session: its open minutes, and the last numbers seen."""

    date: str
    open_ms: int
    close_ms: int
    index: int
    watermark: int
    cells: dict[int, Cell]
    ids: list[IdRow]
    candles: list[IdRow]
    feeds: list[tuple[Feed, Numbers]]


class HotTicks(Struct, array_like=True):
    """The hot part of one product."""

    product: str
    counts: Counts
    known_at: int
    waiting: list[tuple[int, Single]]
    current: HotSession | None


class Block(Struct, array_like=True):
    """The ended minutes of one block of the session, and the last revisions of all that starts
    there: bars, silences, holes."""

    cells: dict[int, Cell]
    ids: list[IdRow]
    candles: list[IdRow]
    revisions: dict[Interval, dict[int, int]]
    silences: list[Silence]
    holes: list[tuple[Feed, Hole]]


_encode = msgspec.msgpack.Encoder().encode
_decode_block = msgspec.msgpack.Decoder(Block).decode


def hot_part(ticks: ProductTicks) -> HotTicks:
    """Return the hot part of a product's state."""
    return HotTicks(
        product=ticks.product,
        counts=ticks.counts,
        known_at=ticks.known_at,
        waiting=sorted(ticks.held.items(), key=lambda item: item[0]),
        current=None if ticks.current is None else _hot_session(ticks.current),
    )


def block_prefix(current: SessionTicks) -> str:
    """Return ``NIFTY|1761536700000|``: product and opening time; the block's number follows."""
    return f"{current.product}|{current.session.open_ms}|"


def take_blocks(current: SessionTicks) -> dict[str, bytes]:
    """Return the blocks of a session that changed since the last call, by name."""
    dirty = current.dirty | current.holes.overflowing_minutes()
    blocks = {minute // _BLOCK_MINUTES for minute in dirty}
    current.dirty.clear()
    prefix = block_prefix(current)
    return {f"{prefix}{block}": _encode(_block(current, block)) for block in sorted(blocks)}


def restored(hot: HotTicks, blocks: Iterable[bytes], rules: Rules) -> ProductTicks:
    """Return a product's state restored from its parts."""
    ticks = ProductTicks(hot.product, rules)
    ticks.counts, ticks.known_at = hot.counts, hot.known_at
    ticks.held = dict(hot.waiting)
    if hot.current is not None:
        stored = [_decode_block(data) for data in blocks]
        ticks.resume_session(_restored_session(hot.product, hot.current, stored, rules))
    return ticks


def _hot_session(current: SessionTicks) -> HotSession:
    bars, at = current.bars, current.session
    first, stop = bars.ended, bars.windows.minutes
    minutes = bars.minutes
    return HotSession(
        date=at.date,
        open_ms=at.open_ms,
        close_ms=at.close_ms,
        index=at.index,
        watermark=current.watermark.reached_ms,
        cells={minute: minutes.cells[minute] for minute in minutes.filled_between(first, stop)},
        ids=current.ids.rows(first, stop),
        candles=current.candles.rows(first, stop),
        feeds=current.holes.hot(),
    )


def _block(current: SessionTicks, block: int) -> Block:
    bars = current.bars
    minutes = bars.minutes
    first, after = block * _BLOCK_MINUTES, (block + 1) * _BLOCK_MINUTES
    stop = min(after, bars.ended)
    return Block(
        cells={minute: minutes.cells[minute] for minute in minutes.filled_between(first, stop)},
        ids=current.ids.rows(first, stop),
        candles=current.candles.rows(first, stop),
        revisions={
            name: {
                window: revision
                for window, revision in revisions.items()
                if first <= window * MINUTES[name] < after
            }
            for name, revisions in bars.revisions.items()
        },
        silences=current.silences.starting_in(first, after),
        holes=current.holes.take_minutes(first, after),
    )


def _restored_session(
    product: str, hot: HotSession, blocks: list[Block], rules: Rules
) -> SessionTicks:
    session = Session(hot.date, hot.open_ms, hot.close_ms, hot.index)
    current = SessionTicks(product, session, rules)
    bars = current.bars
    cells = dict(hot.cells)
    current.ids.restore(hot.ids)
    current.candles.restore(hot.candles)
    for block in blocks:
        cells.update(block.cells)
        current.ids.restore(block.ids)
        current.candles.restore(block.candles)
        for name, revisions in block.revisions.items():
            bars.revisions[name].update(revisions)
        current.silences.restore(block.silences)
    bars.restore(hot.watermark, cells)
    current.holes.restore(hot.feeds, [one for block in blocks for one in block.holes])
    return current
