"""What is remembered of the snapshots of one product and expiry, to compare the next one with.

The *current day* is the latest IST date of an accepted snapshot. One of an earlier day is compared
with what there is and leaves no trace.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct

from optionstream.schemas.events import ChainSnapshot
from optionstream.schemas.times import ist_date
from optionstream.streams.core.chains.figures import EARLIER_DAY, NO_BASELINE
from optionstream.streams.core.chains.table import ChainTable, Floats, aligned

DUPLICATE: Final = "duplicate"
REVISED: Final = "revised"
STALE: Final = "stale"
VOLUME_DECREASED: Final = "volume_decreased"


class Memory(Struct, array_like=True):
    """``content`` is a digest of the last snapshot of ``day`` (exchange time ``ts_event``, UTC
    epoch ms), ``earlier`` of the last one of the day before it. ``volume`` is that of the last
    snapshot, ``oi`` that of the first of the day in ``oi_unit``; both (2, strikes) as bytes."""

    day: str = ""
    ts_event: int = 0
    content: str = ""
    earlier: str = ""
    strikes: bytes = b""
    volume: bytes = b""
    first_strikes: bytes = b""
    oi: bytes = b""
    oi_unit: str = ""


encode_memory = msgspec.msgpack.Encoder().encode
decode_memory = msgspec.msgpack.Decoder(Memory).decode


@dataclass(frozen=True, slots=True)
class Compared:
    """A snapshot against those before it. ``oi_intraday`` is (2, strikes), all NaN with
    ``reason`` where it cannot be told; ``found`` are the names above that hold."""

    oi_intraday: Floats
    reason: str
    found: frozenset[str]


def compare(memory: Memory, chain: ChainSnapshot, table: ChainTable, content: str) -> Compared:
    """``content`` is the digest of the snapshot's content."""
    day = ist_date(chain.ts_event)
    if day < memory.day:
        return Compared(np.full(table.oi.shape, np.nan), EARLIER_DAY, frozenset([STALE]))
    if day > memory.day:
        found = frozenset([STALE]) if content == memory.content else frozenset()
        return Compared(table.oi - table.oi, NO_BASELINE, found)
    return Compared(_intraday(memory, table), NO_BASELINE, _same_day(memory, chain, table, content))


def remember(memory: Memory, chain: ChainSnapshot, table: ChainTable, content: str) -> None:
    """Note an accepted snapshot for the next ones."""
    day = ist_date(chain.ts_event)
    if day < memory.day:
        return
    if day > memory.day:
        memory.day, memory.earlier = day, memory.content
        memory.first_strikes, memory.oi = table.strikes.tobytes(), table.oi.tobytes()
        memory.oi_unit = table.oi_unit
    memory.ts_event, memory.content = chain.ts_event, content
    memory.strikes, memory.volume = table.strikes.tobytes(), table.volume.tobytes()


def _same_day(
    memory: Memory, chain: ChainSnapshot, table: ChainTable, content: str
) -> frozenset[str]:
    found = set()
    same_time, same_content = chain.ts_event == memory.ts_event, content == memory.content
    if same_content and not same_time:
        found.add(DUPLICATE)
    if same_time and not same_content:
        found.add(REVISED)
    if content == memory.earlier:
        found.add(STALE)
    if chain.ts_event >= memory.ts_event and _has_fallen(memory, table):
        found.add(VOLUME_DECREASED)
    return frozenset(found)


def _has_fallen(memory: Memory, table: ChainTable) -> bool:
    return bool((table.volume < _at(memory.volume, memory.strikes, table)).any())


def _intraday(memory: Memory, table: ChainTable) -> Floats:
    if memory.oi_unit != table.oi_unit:
        return np.full(table.oi.shape, np.nan)
    return table.oi - _at(memory.oi, memory.first_strikes, table)


def _at(figures: bytes, strikes: bytes, table: ChainTable) -> Floats:
    """Remembered figures at the strikes of a table; mostly they are of the same strikes."""
    values = np.frombuffer(figures).reshape(2, -1)
    if strikes == table.strikes.tobytes():
        return values
    return aligned(values, np.frombuffer(strikes), table.strikes)
