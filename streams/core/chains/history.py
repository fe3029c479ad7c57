"""What is kept of the snapshots of one product and expiry, to compare the next one with.

The *current day* is the latest IST date of an accepted snapshot. One of an earlier day is compared
with what there is and leaves no trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec
import numpy as np
from msgspec import Struct

from optionstream.schemas.events import ChainSnapshot, OiUnit
from optionstream.schemas.times import ist_date
from optionstream.streams.core.chains.figures import EARLIER_DAY, NO_BASELINE
from optionstream.streams.core.chains.table import ChainTable, Floats, aligned, any_leg

DUPLICATE: Final = "duplicate"
REVISED: Final = "revised"
STALE: Final = "stale"
VOLUME_DECREASED: Final = "volume_decreased"
_FALLEN: Final = frozenset([VOLUME_DECREASED])


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


class Row(NamedTuple):
    """One snapshot of a table, and the digest of its content."""

    chain: ChainSnapshot
    content: str
    strikes: Floats
    oi: Floats
    volume: Floats
    oi_unit: OiUnit

    @classmethod
    def of(cls, chain: ChainSnapshot, content: str, table: ChainTable, at: int) -> Row:
        """Return the row at a position of a table; ``content`` is the digest."""
        strikes, oi, volume = table.strikes[at], table.oi[at], table.volume[at]
        return cls(chain, content, strikes, oi, volume, table.oi_unit[at])


class Baseline(NamedTuple):
    """What a snapshot is compared with: figures (2, strikes), NaN with ``reason`` where there are
    none. ``found`` are the flags that follow from its time and content alone."""

    oi: Floats
    volume: Floats
    reason: str
    found: frozenset[str]


@dataclass(frozen=True, slots=True)
class Compared:
    """Snapshots against those before them. ``oi_intraday`` is (chains, 2, strikes), NaN with the
    chain's entry of ``reasons`` where there is none; ``found`` are the flags above that hold."""

    oi_intraday: Floats
    reasons: list[str]
    found: list[frozenset[str]]


def compare(table: ChainTable, baselines: Sequence[Baseline]) -> Compared:
    """Compare the snapshots of a table each with its baseline."""
    oi = np.array([baseline.oi for baseline in baselines])
    volume = np.array([baseline.volume for baseline in baselines])
    fallen = any_leg(table.volume < volume)
    return Compared(
        table.oi - oi,
        [baseline.reason for baseline in baselines],
        [
            baseline.found | _FALLEN if has_fallen else baseline.found
            for baseline, has_fallen in zip(baselines, fallen, strict=True)
        ],
    )


def baseline(memory: Memory, row: Row) -> Baseline:
    """Return what a snapshot has to be compared with."""
    day = ist_date(row.chain.ts_event)
    unknown = _unknown(len(row.strikes))
    if day < memory.day:
        return Baseline(unknown, unknown, EARLIER_DAY, frozenset([STALE]))
    if day > memory.day:
        found = frozenset([STALE]) if row.content == memory.content else frozenset()
        return Baseline(row.oi, unknown, NO_BASELINE, found)
    same_unit, is_newer = memory.oi_unit == row.oi_unit, row.chain.ts_event >= memory.ts_event
    return Baseline(
        _at(memory.oi, memory.first_strikes, row) if same_unit else unknown,
        _at(memory.volume, memory.strikes, row) if is_newer else unknown,
        NO_BASELINE,
        _same_day(memory, row),
    )


def remember(memory: Memory, row: Row) -> None:
    """Keep of an accepted snapshot what the next ones need."""
    day = ist_date(row.chain.ts_event)
    if day < memory.day:
        return
    strikes = row.strikes.tobytes()
    if day > memory.day:
        memory.day, memory.earlier = day, memory.content
        memory.first_strikes, memory.oi = strikes, row.oi.tobytes()
        memory.oi_unit = row.oi_unit
    memory.ts_event, memory.content = row.chain.ts_event, row.content
    memory.strikes, memory.volume = strikes, row.volume.tobytes()


def _same_day(memory: Memory, row: Row) -> frozenset[str]:
    found = set()
    same_time = row.chain.ts_event == memory.ts_event
    same_content = row.content == memory.content
    if same_content and not same_time:
        found.add(DUPLICATE)
    if same_time and not same_content:
        found.add(REVISED)
    if row.content == memory.earlier:
        found.add(STALE)
    return frozenset(found)


def _at(figures: bytes, strikes: bytes, row: Row) -> Floats:
    """Return kept figures, (2, strikes), at the strikes of a snapshot, mostly the same ones."""
    values = np.frombuffer(figures).reshape(2, -1)
    if strikes == row.strikes.tobytes():
        return values
    return aligned(values, np.frombuffer(strikes), row.strikes)


@lru_cache(maxsize=1_024)
def _unknown(strikes: int) -> Floats:
    """Return NaN for each leg. Shared, so read-only."""
    figures = np.full((2, strikes), np.nan)
    figures.flags.writeable = False
    return figures
