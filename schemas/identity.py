"""Identities of ticks and snapshots without a number: hashes of their content.

BLAKE2b over a canonical JSON of the content. Receipt time, capture and source are not content:
the same chain served twice is the same snapshot whoever fetched it.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from optionstream.schemas.events import ChainSnapshot, Tick, TickFrame

_encode = msgspec.json.Encoder().encode
_ID_MASK = (1 << 53) - 1


def tick_id(ts_ms: int, price: float, volume: int | None, occurrence: int = 0) -> int:
    """Return the 53-bit identity of an unnumbered tick.

    ``occurrence`` counts equal ticks within one second, from 0.
    """
    content = f"{ts_ms}|{float(price)!r}|{volume}|{occurrence}".encode()
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "big") & _ID_MASK


def frame_of_tick(tick: Tick, record_ts: int) -> TickFrame:
    """Return a tick as a frame of one; ``record_ts`` is its record's timestamp, epoch ms."""
    number = tick.seq
    identity = None
    if number is None:
        number = tick_id(tick.ts_ms, tick.price, tick.volume)
        identity = [number]
    return TickFrame(
        product=tick.product,
        source=tick.source,
        session=tick.session,
        ts_recv=record_ts if tick.ts_recv is None else tick.ts_recv,
        ts_ms=[tick.ts_ms],
        price=[tick.price],
        seq=[number],
        volume=[tick.volume],
        tick_id=identity,
    )


def snapshot_id(chain: ChainSnapshot) -> str:
    """Return ``<exchange time ms>-<16 hex digits of the content>``, equal for equal content."""
    content = _encode(
        (chain.underlying_price, chain.oi_unit, chain.strikes, chain.calls, chain.puts)
    )
    return f"{chain.ts_event}-{blake2b(content, digest_size=8).hexdigest()}"
