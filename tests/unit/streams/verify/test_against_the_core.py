"""Two implementations of docs/semantics.md, the stream's and verify's, agree on wild logs.

They share no code, so a rule that one of them got wrong shows here without a server.
"""

from __future__ import annotations

import json
import random
from typing import Any, NamedTuple

import msgspec
import pytest

from optionstream.schemas import redis_keys, topics
from optionstream.schemas.codec import encode, headers_for
from optionstream.schemas.derived import Bar, ChainAnalytics, VolatilitySurface
from optionstream.schemas.events import CandleFrame, ChainSnapshot, Heartbeat, Legs, TickFrame
from optionstream.streams.core.chains.partition import ChainPartition
from optionstream.streams.core.intake import Output, Source
from optionstream.streams.core.market.calendar import always_open_calendar, nse_calendar
from optionstream.streams.core.quotes.partition import QuotePartition
from optionstream.streams.core.rules import Rules
from optionstream.streams.core.ticks.partition import TickPartition
from optionstream.streams.kafka.records import RawRecord
from optionstream.streams.sinks.latest.newest import Batch
from optionstream.streams.verify.check import Check
from optionstream.streams.verify.report import Difference, Report
from tests.unit.streams.verify.wild_quotes import WildQuotes
from tests.unit.streams.verify.world import (
    DAY,
    HOME,
    MINUTE,
    OPEN,
    PARTITIONS,
    PRODUCT,
    Log,
    Stores,
    candle_record,
    legs,
    settings,
    snapshot,
)

SPLIT_DAY = 1_709_351_100_000
"""2024-03-02 09:15 IST: two sessions."""
DAYS = [OPEN + days * DAY for days in (0, 1, 2, 3, 4, 7, 8, 9, 10, 11)]
STRAY_TIMES = [0, 946_684_800_000, 4_102_444_800_000, 4_070_908_800_000, OPEN - DAY, OPEN - 1]


Partition = TickPartition | ChainPartition | QuotePartition


class Arrived(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class WildFeed:
    """Ticks and candles with everything wrong that real feeds have, from one seed."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.seq = self.volume = 0
        self.clock = OPEN + rng.randrange(3) * DAY
        self.late = rng.choice([0.02, 0.2, 0.5])
        self.jump = rng.choice([0, 0.01, 0.05])
        self.with_volume = rng.choice([0, 0.5, 0.95])
        self.candles = rng.choice([0, 0, 0.1, 0.5, 1])
        self.lengths = rng.choice([[1], [1, 1, 1, 5], [5], [2, 7, 15, 30, 375]])
        self.skips = rng.choice([0, 0, 0.02, 0.3])

    def _time(self) -> int:
        rng = self.rng
        if rng.random() < self.jump:
            day = rng.choice([*DAYS, SPLIT_DAY, SPLIT_DAY + 135 * MINUTE])
            self.clock = day + rng.randrange(375 * MINUTE)
        self.clock += rng.choice([0, 1, 500, 3_000, 20_000, 70_000, 400_000])
        dice = rng.random()
        if dice < 0.01:
            return rng.choice(STRAY_TIMES)
        if dice < 0.03:
            return rng.choice(DAYS) + rng.randrange(400 * MINUTE)
        return self.clock - (rng.randrange(600_000) if rng.random() < self.late else 0)

    def frame(self) -> TickFrame:
        rng = self.rng
        times, prices, numbers, volumes, ids = [], [], [], [], []
        for _ in range(rng.choice([1, 1, 2, 5, 20])):
            self.seq += rng.randrange(2, 6) if rng.random() < self.skips else 1
            self.volume += rng.randrange(5) if rng.random() < 0.97 else -3
            times.append(self._time())
            prices.append(rng.choice([0.0, -1.0]) if rng.random() < 0.02 else rng.randrange(1, 8))
            numbers.append(self.seq if rng.random() < 0.9 else rng.randrange(1, self.seq + 1))
            volumes.append(self.volume if rng.random() < self.with_volume else None)
            ids.append(rng.randrange(50))
        return TickFrame(
            product=PRODUCT,
            source=rng.choice("aaab"),
            session=rng.choice("sssu"),
            ts_recv=OPEN + rng.randrange(400 * MINUTE),
            ts_ms=times,
            price=[float(price) for price in prices],
            seq=numbers,
            volume=volumes if rng.random() < 0.9 else None,
            tick_id=ids if rng.random() < 0.2 else None,
        )

    def candle_frame(self) -> CandleFrame:
        rng = self.rng
        length = rng.choice(self.lengths) * MINUTE
        starts, prices, volumes = [], [], []
        for _ in range(rng.choice([1, 1, 2, 5])):
            at = self._time()
            starts.append(at - (at - OPEN) % DAY % length if rng.random() < 0.97 else at)
            low, *inner, high = sorted(rng.randrange(1, 9) for _ in range(4))
            if rng.random() < 0.03:
                low, high = rng.choice([(0, high), (high + 1, high), (low, low - 1)])
            rng.shuffle(inner)
            prices.append((inner[0], high, low, inner[1]))
            volumes.append(rng.choice([0, 3, 5, 5, -1 if rng.random() < 0.1 else None]))
        return candle_record(
            starts,
            prices,
            volumes if rng.random() < 0.8 else None,
            source=rng.choice("aaab"),
            session=rng.choice("sssu"),
            ts_recv=OPEN + rng.randrange(400 * MINUTE),
            interval_ms=length,
        )

    def add_to(self, log: Log) -> None:
        if self.rng.random() < self.candles:
            log.add(self.candle_frame())
        else:
            self._add_ticks(log)
        if self.rng.random() < 0.2:
            reached = self.clock + self.rng.choice([-100_000, 0, 3_000, 100_000, DAY // 2])
            log.add(Heartbeat(PRODUCT, "a", reached, self.clock))

    def _add_ticks(self, log: Log) -> None:
        frame, rng = self.frame(), self.rng
        dice = rng.random()
        if dice < 0.02:
            log.add(frame, key=b"X")
        elif dice < 0.04:
            log.add_raw(encode(frame), headers=None)
        elif dice < 0.06:
            log.add_raw(b"\xff")
        elif dice < 0.08:
            log.add(msgspec.structs.replace(frame, price=[1.0]))
        elif dice < 0.15:
            log.add_raw(self._foreign(frame), timestamp=self.clock)
        else:
            log.add(frame)

    def _foreign(self, frame: TickFrame) -> bytes:
        tick = {"product": PRODUCT, "ts_ms": frame.ts_ms[0], "price": frame.price[0]}
        if self.rng.random() < 0.5:
            tick["seq"] = frame.seq[0]
        if self.rng.random() < 0.5:
            tick["volume"] = self.rng.randrange(9)
        return json.dumps(tick).encode()


def wild_chain(rng: random.Random) -> ChainSnapshot:
    strikes = sorted(rng.sample(range(100, 200, 10), rng.randrange(1, 6)))
    size = len(strikes)

    def side() -> Legs:
        if rng.random() < 0.1:
            return legs([None] * size)
        return legs(
            [rng.choice([None, 0, 1, 2, 5, 2.5]) for _ in range(size)],
            [rng.choice([None, 0, 1]) for _ in range(size)],
        )

    return snapshot(
        [float(strike) for strike in strikes],
        side(),
        side(),
        ts_event=OPEN + rng.choice([0, 0, 1, 375 * MINUTE, 375 * MINUTE + 1, -1, -OPEN]),
        ts_recv=OPEN + rng.randrange(3),
        expiry=rng.choice(["2024-01-04", "2024-01-11"]),
        source=rng.choice("ab"),
        session=rng.choice("xyz"),
        seq=rng.choice([None, 1, 2, 3]),
        capture_id=rng.choice(["", "", "c", "d"]),
        expiries_in_capture=rng.choice([1, 1, 2]),
    )


def compared(seed: int) -> Report:
    """What verify says of the core's outputs for the log of one seed."""
    rng = random.Random(seed)
    live = rng.random() < 0.2
    log, feed = Log(), WildFeed(rng)
    for _ in range(rng.randrange(5, 60)):
        feed.add_to(log)
    quotes = WildQuotes(rng)
    quotes.seq = 1
    for _ in range(30):
        log.add(wild_chain(rng))
        log.add(quotes.frame())
    calendar = always_open_calendar() if rng.random() < 0.15 else nse_calendar()
    stores = Stores("live" if live else "r1")
    chosen = stores.settings = settings(
        allowed_lateness_ms=rng.choice([0, 2_000, 2_000, 90_000]),
        silence_ms=rng.choice([60_000, 60_000, 150_000]),
        partial_every_ms=rng.choice([0, 0, 30_000]),
    )
    rules = Rules(
        calendar,
        chosen.allowed_lateness_ms,
        chosen.future_limit_ms if live else None,
        chosen.silence_ms,
    )
    source = Source(topics.UNDERLYING, HOME, PARTITIONS)
    parts: list[Partition] = [
        TickPartition(source, rules, chosen.partial_every_ms),
        ChainPartition(source._replace(topic=topics.OPTION_CHAIN), rules),
        QuotePartition(source._replace(topic=topics.OPTION_QUOTE), rules),
    ]
    inputs = [record for record in log.records if record.partition == HOME]
    outputs = [
        output
        for part, topic in zip(parts, topics.MARKET_TOPICS, strict=True)
        for output in _play(part, inputs, topic, rng)
    ]
    partitions = dict.fromkeys(topics.ALL_TOPICS, PARTITIONS)
    check = Check(stores.namespace, chosen, calendar, partitions)
    check.take_inputs(inputs)
    check.take_outputs(
        [
            RawRecord(one.topic, HOME, at, 0, one.key, headers_for(one.record), encode(one.record))
            for at, one in enumerate(outputs)
        ]
    )
    check.compare_kafka()
    check.compare_counts(_counts(parts))
    check.compare_redis(_newest(outputs, stores.namespace))
    return check.report()


def _newest(outputs: list[Output], namespace: topics.Namespace) -> dict[str, Any]:
    """What Redis holds of the outputs in the end."""
    batch = Batch(namespace)
    for one in outputs:
        if isinstance(one.record, Bar):
            batch.add_bar(one.record)
        elif isinstance(one.record, ChainAnalytics):
            batch.add_chain(one.record)
        elif isinstance(one.record, VolatilitySurface):
            batch.add_surface(one.record)
    prefix = len(namespace.redis(""))
    return {one.key[prefix:]: msgspec.json.decode(one.value) for one in batch.entries()}


def _play(
    part: Partition,
    inputs: list[RawRecord],
    topic: str,
    rng: random.Random,
) -> list[Output]:
    records = [
        Arrived(one.offset, one.timestamp, one.key, one.value, list(one.headers or []))
        for one in inputs
        if one.topic == topic
    ]
    outputs: list[Output] = []
    while records:
        size = rng.choice([1, 3, 1_000])
        batch, records = records[:size], records[size:]
        outputs += part.apply(batch)
        outputs += part.partials()
    return outputs


def _counts(parts: list[Partition]) -> dict[str, object]:
    rejects: dict[str, int] = {}
    outside: dict[str, int] = {}
    total: dict[str, object] = {"rejects": rejects, "outside": outside}
    for counts in (one for part in parts for one in part.counts()):
        for name in ("accepted", "outside_session", "duplicates", "held"):
            total[name] = int(total.get(name, 0)) + getattr(counts, name)  # type: ignore[call-overload]
        for reason, events in counts.rejects.items():
            rejects[reason] = rejects.get(reason, 0) + events
        for phase, events in counts.outside.items():
            outside[phase] = outside.get(phase, 0) + events
    return total


@pytest.mark.parametrize("seed", range(60))
def test_the_stream_and_verify_agree(seed: int) -> None:
    found = [one for one in compared(seed).differences if not _is_latest_tick(one)]
    assert found == []


def _is_latest_tick(difference: Difference) -> bool:
    """The latest ticks are the sinks' business alone: none are given to verify here."""
    return difference.id == redis_keys.underlying(PRODUCT)
