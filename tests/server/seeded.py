"""Input made from a seed: a few products and days with everything that the rules speak of.

Ticks in frames of mixed sizes, single ticks with and without numbers or header, late ones, repeated
ones, bad prices, bad stamps, other sessions; heartbeats; chains with and without numbers,
repeated, with legs missing. Equal arguments make equal bytes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from optionstream.schemas import codec, topics
from optionstream.schemas.events import ChainSnapshot, Heartbeat, Legs, Tick, TickFrame
from optionstream.schemas.times import to_ms

PRODUCTS = ("NIFTY", "BANKNIFTY", "FINNIFTY", "SENSEX")
DATES = ("2026-01-06", "2026-01-07")
SESSION_MS = 22_500_000
_STRIKES = 15
_LARGEST_FRAME = 50


@dataclass(frozen=True, slots=True)
class Sent:
    """One record to publish; ``base`` is the topic without the namespace. A ``partition`` of None
    is the home of ``product``."""

    base: str
    product: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
    timestamp: int
    partition: int | None = None

    @property
    def events(self) -> int:
        """Ticks or chains in it; 0 for a heartbeat."""
        record = codec.decode(self.value, self.headers)
        if isinstance(record, TickFrame):
            return len(record.ts_ms)
        return 0 if isinstance(record, Heartbeat) else 1


def sent(record: TickFrame | Tick | Heartbeat | ChainSnapshot, *, header: bool = True) -> Sent:
    """A record as a producer of ours would send it."""
    if isinstance(record, ChainSnapshot):
        base, key = topics.OPTION_CHAIN, topics.chain_key(record.product, record.expiry)
    else:
        base, key = topics.UNDERLYING, record.product
    headers = codec.headers_for(record) if header else []
    stamp = record.ts_recv or 0
    return Sent(base, record.product, key.encode(), codec.encode(record), headers, stamp)


def open_ms(date: str) -> int:
    """09:15 IST."""
    return to_ms(datetime.fromisoformat(f"{date}T09:15:00+05:30"))


def messy_input(
    seed: int,
    ticks: int,
    chains: int,
    products: Sequence[str] = PRODUCTS,
    dates: Sequence[str] = DATES,
) -> list[Sent]:
    """About ``ticks`` ticks and ``chains`` chains in all, in the order to publish them in.

    The last record of each product is a heartbeat behind the last close, so that every window
    closes.
    """
    placed: list[tuple[int, int, Sent]] = []
    share = len(products) * len(dates)
    for product in products:
        for day, date in enumerate(dates):
            rng = random.Random(f"{seed}|{product}|{date}")
            start = open_ms(date)
            before = open_ms(dates[day - 1]) if day else None
            for at, record in _ticks(rng, product, date, start, ticks // share, before):
                placed.append((at, len(placed), record))
            for at, record in _chains(rng, product, date, start, chains // share):
                placed.append((at, len(placed), record))
    placed.sort()
    return [record for _, _, record in placed]


def _ticks(
    rng: random.Random, product: str, date: str, start: int, count: int, before: int | None
) -> Iterator[tuple[int, Sent]]:
    close = start + SESSION_MS
    stamps = sorted(rng.randrange(start - 20_000, close + 20_000) for _ in range(count))
    price, volume, at = 25_000.0 + rng.random() * 1000, 1_000, 0
    recent: list[Sent] = []
    beat = start + 60_000
    while at < count:
        rows = []
        for ts in stamps[at : at + rng.randint(1, _LARGEST_FRAME)]:
            price += rng.gauss(0, 2)
            volume += rng.randrange(0, 300)
            at += 1
            rows.append(_row(rng, at, ts, round(price, 2), volume, before))
        repeated = [rng.choice(rows)] if rng.random() < 0.1 else []
        record = _packed(rng, product, date, [*rows, *repeated], stamps[at - 1])
        yield stamps[at - 1], record
        recent = [*recent[-20:], record]
        if rng.random() < 0.03:
            yield stamps[at - 1], rng.choice(recent)
        if stamps[at - 1] > beat:
            yield stamps[at - 1], _beat(product, beat)
            beat = stamps[at - 1] + 60_000
    yield close + 30_000, _beat(product, close + 5_000)


def _row(
    rng: random.Random, seq: int, ts: int, price: float, volume: int, before: int | None
) -> dict[str, Any]:
    """One tick, seldom as it should not be."""
    dice = rng.random()
    known = volume if rng.random() < 0.95 else None
    if dice < 0.006:
        ts -= rng.choice((1_500, 3_000, 70_000, 400_000))
    elif dice < 0.009:
        price = rng.choice((0.0, -price))
    elif dice < 0.010:
        ts = rng.choice((-1, 0, 4_070_908_800_000, 5_000_000_000_000))
    elif dice < 0.011 and before is not None:
        ts = before + rng.randrange(SESSION_MS)
    return {"ts_ms": ts, "price": price, "seq": seq, "volume": known}


def _packed(
    rng: random.Random, product: str, date: str, rows: list[dict[str, Any]], ts_recv: int
) -> Sent:
    if len(rows) == 1:
        tick = Tick(product=product, source="seeded", session=date, ts_recv=ts_recv, **rows[0])
        return sent(tick, header=rng.random() < 0.5)
    if rng.random() < 0.01:
        lone = {**rows[0], "seq": None}
        return sent(Tick(product=product, ts_recv=ts_recv, **lone), header=False)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return sent(
        TickFrame(product=product, source="seeded", session=date, ts_recv=ts_recv, **columns)
    )


def _beat(product: str, at: int) -> Sent:
    return sent(Heartbeat(product=product, source="seeded", ts_event=at, ts_recv=at))


def _chains(
    rng: random.Random, product: str, date: str, start: int, count: int
) -> Iterator[tuple[int, Sent]]:
    recent: list[Sent] = []
    for number in range(count):
        if recent and rng.random() < 0.08:
            yield start + number * (SESSION_MS // count), rng.choice(recent)
            continue
        ts = start + number * (SESSION_MS // count) + rng.randrange(1_000)
        expiry = rng.choice(("2026-01-13", "2026-01-27"))
        record = sent(chain(rng, product, expiry, ts, date, number if number % 2 else None))
        recent = [*recent[-20:], record]
        yield ts, record


def chain(
    rng: random.Random, product: str, expiry: str, ts: int, session: str, seq: int | None = None
) -> ChainSnapshot:
    """A snapshot with random figures, some of its legs missing."""
    base = rng.randrange(490, 510) * 50.0
    return ChainSnapshot(
        product=product,
        expiry=expiry,
        source="seeded",
        ts_event=ts,
        ts_recv=ts + rng.randrange(500),
        oi_unit="lots",
        strikes=[base + 50 * at for at in range(_STRIKES)],
        calls=_legs(rng),
        puts=_legs(rng),
        underlying_price=round(base + 300 + rng.random(), 2),
        capture_id=f"{product}-{ts}",
        session=session,
        seq=seq,
    )


def _legs(rng: random.Random) -> Legs:
    missing = {at for at in range(_STRIKES) if rng.random() < 0.1}

    def column(most: int) -> list[float | None]:
        return [None if at in missing else float(rng.randrange(most)) for at in range(_STRIKES)]

    return Legs(
        oi=column(100_000),
        oi_change=column(5_000),
        volume=column(1_000_000),
        iv=column(40),
        last=column(900),
        bid=column(900),
        ask=column(900),
    )


def no_legs(strikes: int) -> Legs:
    """A side of which nothing is there."""
    none: list[float | None] = [None] * strikes
    return Legs(none, none, none, none, none, none, none)
