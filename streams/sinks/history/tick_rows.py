"""Tick frames as rows of the time-series collection.

``{timestamp, product, price, volume, seq, source, session[, tick_id][, refused], p, o, i, e}``:
``p``, ``o``, ``i`` are partition, offset and position in the frame, ``e`` the epoch of who wrote
the row. ``refused`` names the rule by which analytics refuses the tick for its content.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import repeat

from bson import ObjectId

from optionstream.schemas.documents import Document
from optionstream.schemas.events import TickFrame
from optionstream.streams.core.rules import EARLIEST_MS, LATEST_MS, Rules

_EPOCH = datetime(1970, 1, 1)
_MS = timedelta(milliseconds=1)


def tick_rows(
    frame: TickFrame, partition: int, offset: int, epoch: ObjectId, rules: Rules
) -> tuple[list[Document], int]:
    """The rows of a checked frame, and how many ticks were left out because their time is
    before 2000 or after 2100 (analytics writes rejects for them)."""
    if len(frame.ts_ms) == 1:
        return _single(frame, partition, offset, epoch, rules)
    product, source, session = frame.product, frame.source, frame.session
    rows: list[Document] = [
        {
            "timestamp": _EPOCH + ts_ms * _MS,
            "product": product,
            "price": price,
            "volume": volume,
            "seq": seq,
            "source": source,
            "session": session,
            "p": partition,
            "o": offset,
            "i": at,
            "e": epoch,
        }
        for at, (ts_ms, price, volume, seq) in enumerate(
            zip(frame.ts_ms, frame.price, frame.volume or repeat(None), frame.seq, strict=False)
        )
        if EARLIEST_MS <= ts_ms < LATEST_MS
    ]
    if frame.tick_id is not None:
        for row in rows:
            row["tick_id"] = frame.tick_id[row["i"]]
    if not rules.is_sound_frame(frame):
        _mark_refused(rows, frame, rules)
    return rows, len(frame.ts_ms) - len(rows)


def _single(
    frame: TickFrame, partition: int, offset: int, epoch: ObjectId, rules: Rules
) -> tuple[list[Document], int]:
    """The same for a frame of one tick, in half the time."""
    ts_ms, price = frame.ts_ms[0], frame.price[0]
    if not EARLIEST_MS <= ts_ms < LATEST_MS:
        return [], 1
    row: Document = {
        "timestamp": _EPOCH + ts_ms * _MS,
        "product": frame.product,
        "price": price,
        "volume": None if frame.volume is None else frame.volume[0],
        "seq": frame.seq[0],
        "source": frame.source,
        "session": frame.session,
        "p": partition,
        "o": offset,
        "i": 0,
        "e": epoch,
    }
    if frame.tick_id is not None:
        row["tick_id"] = frame.tick_id[0]
    reason = rules.tick_fault(ts_ms, price, frame.ts_recv)
    if reason is not None:
        row["refused"] = reason
    return [row], 0


def _mark_refused(rows: list[Document], frame: TickFrame, rules: Rules) -> None:
    for row in rows:
        reason = rules.tick_fault(frame.ts_ms[row["i"]], row["price"], frame.ts_recv)
        if reason is not None:
            row["refused"] = reason
