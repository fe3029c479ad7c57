"""Input made from a seed: a few products and days with everything that the rules speak of.

Ticks in frames of mixed sizes, single ticks with and without numbers or header, late ones, repeated
ones, bad prices, bad stamps, other sessions, numbers that never come; candles among them;
heartbeats; chains with and without numbers, repeated, with legs missing; quotes of contracts,
late, repeated, bad ones. Equal arguments make equal bytes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from optionstream.schemas import codec, topics
from optionstream.schemas.events import (
    CandleFrame,
    ChainSnapshot,
    Heartbeat,
    Legs,
    OptionQuoteFrame,
    Tick,
    TickFrame,
)
from optionstream.schemas.times import to_ms

Record = TickFrame | Tick | CandleFrame | Heartbeat | OptionQuoteFrame | ChainSnapshot

PRODUCTS = ("NIFTY", "BANKNIFTY", "FINNIFTY", "SENSEX")
DATES = ("2026-01-06", "2026-01-07")
SESSION_MS = 22_500_000
_STRIKES = 15
_LARGEST_FRAME = 50
_QUOTES_A_CHAIN = 12
_EXPIRIES = ("2026-01-13", "2026-01-27")


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
        """Ticks, candles, quotes or chains in it; 0 for a heartbeat."""
        record = codec.decode(self.value, self.headers)
        if isinstance(record, TickFrame | OptionQuoteFrame):
            return len(record.ts_ms)
        if isinstance(record, CandleFrame):
            return len(record.start_ms)
        return 0 if isinstance(record, Heartbeat) else 1


def sent(record: Record, *, header: bool = True) -> Sent:
    """A record as a producer of ours would send it."""
    if isinstance(record, ChainSnapshot):
        base, key = topics.OPTION_CHAIN, topics.chain_key(record.product, record.expiry)
    elif isinstance(record, OptionQuoteFrame):
        base, key = topics.OPTION_QUOTE, topics.chain_key(record.product, record.expiry)
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
    """About ``ticks`` ticks and ``chains`` chains in all, some candles, and a dozen quotes for each
    chain, in the order to publish them in.

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
            for at, record in _quotes(rng, product, date, start, chains // share):
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
        if rng.random() < 0.01:
            yield stamps[at - 1], sent(_candles(rng, product, date, start, stamps[at - 1]))
        if rng.random() < 0.01:
            at += rng.randint(1, 9)  # numbers that never come
        if at and at < count and stamps[at - 1] > beat:
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


def _candles(rng: random.Random, product: str, date: str, start: int, now: int) -> CandleFrame:
    """One to three candles of minutes before ``now``, seldom as they should not be."""
    length = rng.choice((60_000, 60_000, 300_000, 2_700_000))
    first = start + (now - start) // length * length - rng.choice((0, length, 3 * length))
    if rng.random() < 0.1:
        first += 30_000
    rows = []
    for number in range(rng.randint(1, 3)):
        opened, closed = (25_000.0 + round(rng.gauss(0, 20), 2) for _ in range(2))
        low = min(opened, closed) - (1.0 if rng.random() < 0.95 else -1.0)
        volume = rng.randrange(1_000) if rng.random() < 0.8 else None
        high = max(opened, closed) + 1.0
        rows.append((first + number * length, opened, high, low, closed, volume))
    names = ("start_ms", "open", "high", "low", "close", "volume")
    columns: dict[str, Any] = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    return CandleFrame(
        product=product,
        source="seeded-candles",
        session=date,
        ts_recv=max(0, now),
        interval_ms=length,
        **columns,
    )


def _quotes(
    rng: random.Random, product: str, date: str, start: int, chains: int
) -> Iterator[tuple[int, Sent]]:
    seq = dict.fromkeys(_EXPIRIES, 0)
    recent: list[Sent] = []
    for number in range(chains):
        at = start + number * (SESSION_MS // chains)
        if recent and rng.random() < 0.05:
            yield at, rng.choice(recent)
            continue
        expiry = rng.choice(_EXPIRIES)
        rows = [_quote(rng, seq[expiry] + n + 1, at) for n in range(_QUOTES_A_CHAIN)]
        seq[expiry] += len(rows)
        columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
        record = sent(
            OptionQuoteFrame(
                product=product,
                expiry=expiry,
                source="seeded",
                session=date,
                ts_recv=at + 1_000,
                oi_unit="shares" if rng.random() < 0.9 else "lots",
                **columns,
            )
        )
        recent = [*recent[-20:], record]
        yield at, record


def _quote(rng: random.Random, seq: int, at: int) -> dict[str, Any]:
    """One quote, sometimes late, seldom as it should not be."""
    late = rng.choice((1_500, 60_000)) if rng.random() < 0.05 else 0
    price = round(rng.random() * 500, 2) if rng.random() < 0.97 else rng.choice((0.0, -1.0))
    return {
        "ts_ms": at + rng.randrange(1_000) - late,
        "seq": seq,
        "strike": 25_000.0 + 50 * rng.randrange(8) if rng.random() < 0.99 else 0.0,
        "kind": rng.choice(("CE", "PE")),
        "oi": float(rng.randrange(100_000)) if rng.random() < 0.5 else None,
        "volume": float(rng.randrange(100_000)) if rng.random() < 0.5 else None,
        "last": price,
        "bid": price,
        "underlying_price": 25_200.0 if rng.random() < 0.5 else None,
    }


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
        expiry = rng.choice(_EXPIRIES)
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
