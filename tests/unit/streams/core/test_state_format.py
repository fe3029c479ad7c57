"""The bytes of the state in Kafka: a namespace made by an earlier version continues after it.

The digests are those of the version that introduced surfaces. If one changes, state that
exists cannot be trusted to be read as it was meant: give the format a new name instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from random import Random
from typing import Any

from optionstream.schemas import codec
from optionstream.schemas.events import CandleFrame, OptionQuoteFrame, Tick, TickFrame
from optionstream.schemas.topics import OPTION_QUOTE, UNDERLYING, partition_for
from optionstream.streams.core.intake import Source
from optionstream.streams.core.market.calendar import nse_calendar
from optionstream.streams.core.quotes.partition import QuotePartition
from optionstream.streams.core.rules import Rules
from optionstream.streams.core.ticks.partition import TickPartition
from tests.unit.streams.core.ticks.helpers import Record

OPEN_MS = 1_761_536_700_000
HOME = partition_for("NIFTY", 6)


def _record(offset: int, event: Any, key: str) -> Record:
    return Record(
        offset, event.ts_recv, key.encode(), codec.encode(event), codec.headers_for(event)
    )


def _ticks() -> Iterator[Record]:
    """An hour with holes, silences, late ticks, repeated ones, candles and ids."""
    rng, ts, number = Random(7), OPEN_MS, 0
    for offset in range(200):
        ts += rng.choice([1_000, 5_000, 20_000, 90_000])
        number += rng.choice([1, 1, 1, 4])
        late = ts - rng.choice([0, 0, 0, 30_000, 400_000])
        shared: dict[str, Any] = {"product": "NIFTY", "session": "s", "ts_recv": ts + 300}
        event: Any
        if offset % 10 == 9:
            start = OPEN_MS + (ts - OPEN_MS) // 60_000 * 60_000
            prices: Any = {"open": [10.0], "high": [12.0], "low": [9.0], "close": [11.0]}
            event = CandleFrame(
                source="c", interval_ms=60_000, start_ms=[start], volume=[5], **prices, **shared
            )
        elif offset % 2:
            seq = None if offset % 3 else number
            event = Tick(source="a", ts_ms=late, price=10.0 + offset, seq=seq, volume=75, **shared)
        else:
            numbers = [number, number + 2, number - rng.choice([0, 3])]
            event = TickFrame(
                source="b",
                ts_ms=[late, late + 10, late + 20],
                price=[10.0, 11.0, 9.0],
                seq=numbers,
                volume=[75 * one for one in numbers],
                **shared,
            )
        yield _record(offset, event, "NIFTY")


def _quotes() -> Iterator[Record]:
    """A few minutes of quotes of two expiries."""
    rng, ts, number = Random(7), OPEN_MS, 0
    for offset in range(120):
        ts += rng.choice([300, 1_000, 4_000])
        number += rng.choice([3, 3, 5])
        expiry = rng.choice(["2025-10-28", "2025-11-04"])
        event = OptionQuoteFrame(
            product="NIFTY",
            expiry=expiry,
            source="q",
            session="s",
            ts_recv=ts + 300,
            oi_unit="shares",
            ts_ms=[ts - rng.choice([0, 0, 1_500]) for _ in range(3)],
            seq=[number, number + 1, number + 2],
            strike=[25_000.0 + 50 * rng.randrange(4) for _ in range(3)],
            kind=["CE", "PE", "CE"],
            oi=[float(rng.randrange(1_000)) for _ in range(3)],
            last=[100.0, None, 90.0],
        )
        yield _record(offset, event, f"NIFTY:{expiry}")


def _digest(part: TickPartition | QuotePartition, records: Iterator[Record], leave_out: str) -> str:
    """The digest of all that is stored while the records come, seven at a time."""
    found, rows = sha256(), list(records)
    for at in range(0, len(rows), 7):
        part.apply(rows[at : at + 7])
        for name, data in sorted(part.take_segments().items()):
            if not name.startswith(leave_out):
                found.update(name.encode() + b"\0" + (data or b""))
        found.update(part.hot())
    return found.hexdigest()[:16]


def test_the_state_of_ticks_is_the_same_to_the_byte() -> None:
    part = TickPartition(Source(UNDERLYING, HOME, 6), Rules(nse_calendar()))
    assert _digest(part, _ticks(), "-") == "9a8c135910f24f28"


def test_the_state_of_quotes_is_the_same_to_the_byte() -> None:
    part = QuotePartition(Source(OPTION_QUOTE, HOME, 6), Rules(nse_calendar()))
    assert _digest(part, _quotes(), "smiles|") == "ba915b0d031e6251"
