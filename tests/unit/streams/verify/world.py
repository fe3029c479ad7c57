"""Hand-made input records, and stores that hold what they are told to."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec

from optionstream.schemas import documents, redis_keys, topics
from optionstream.schemas.codec import Record, encode, headers_for
from optionstream.schemas.derived import Bar, ChainAnalytics, Gap, Reject, VolatilitySurface
from optionstream.schemas.events import (
    CandleFrame,
    ChainSnapshot,
    Heartbeat,
    Legs,
    MarketEvent,
    OptionQuoteFrame,
    TickFrame,
)
from optionstream.schemas.settings import Settings
from optionstream.schemas.times import ist, to_ms
from optionstream.streams.core.market.calendar import Calendar, nse_calendar
from optionstream.streams.kafka.records import RawRecord
from optionstream.streams.verify.check import Check
from optionstream.streams.verify.expect import Expectation
from optionstream.streams.verify.report import Report
from optionstream.streams.verify.rules import Rules
from optionstream.streams.verify.stores import Mongo

PARTITIONS = 6
PRODUCT = "NIFTY"
HOME = topics.partition_for(PRODUCT, PARTITIONS)
MONDAY = "2024-01-01"
MINUTE = 60_000
DAY = 86_400_000
OPEN = 1_704_080_700_000
"""Monday 2024-01-01 09:15 IST."""
LATENESS = 2_000
EPOCH = "epoch-1"


def settings(**changed: Any) -> Settings:
    """The defaults but for what is ``changed``."""
    return dataclasses.replace(Settings.from_env({"HOME": "/nowhere"}), **changed)


def rules(*, live: bool = False, calendar: Calendar | None = None, **changed: Any) -> Rules:
    """``changed`` are settings."""
    partitions = dict.fromkeys(topics.ALL_TOPICS, PARTITIONS)
    return Rules(settings(**changed), calendar or nse_calendar(), partitions, live)


def tick_record(
    seqs: Sequence[int],
    times: Sequence[int],
    prices: Sequence[float] | None = None,
    volumes: Sequence[int | None] | None = None,
    **changed: Any,
) -> TickFrame:
    """A frame of NIFTY; prices are 100 where none are given."""
    frame = TickFrame(
        product=PRODUCT,
        source="test",
        session="s1",
        ts_recv=max(times, default=0),
        ts_ms=list(times),
        price=list(prices or [100.0] * len(times)),
        seq=list(seqs),
        volume=None if volumes is None else list(volumes),
    )
    return msgspec.structs.replace(frame, **changed)


def candle_record(
    starts: Sequence[int],
    prices: Sequence[tuple[float, float, float, float]] | None = None,
    volumes: Sequence[int | None] | None = None,
    **changed: Any,
) -> CandleFrame:
    """A frame of one-minute candles of NIFTY; prices are open, high, low and close."""
    rows = prices or [(100.0, 100.0, 100.0, 100.0)] * len(starts)
    frame = CandleFrame(
        product=PRODUCT,
        source="test",
        session="s1",
        ts_recv=max(starts, default=0),
        interval_ms=MINUTE,
        start_ms=list(starts),
        open=[row[0] for row in rows],
        high=[row[1] for row in rows],
        low=[row[2] for row in rows],
        close=[row[3] for row in rows],
        volume=None if volumes is None else list(volumes),
    )
    return msgspec.structs.replace(frame, **changed)


def heartbeat(ts_event: int) -> Heartbeat:
    return Heartbeat(PRODUCT, "test", ts_event, ts_event)


class Log:
    """An input log; each ``add`` is the next offset of its partition."""

    def __init__(self) -> None:
        self.records: list[RawRecord] = []
        self._next: dict[tuple[str, int], int] = {}

    def add(self, content: MarketEvent, **changed: Any) -> RawRecord:
        topic, key = topics.UNDERLYING, content.product
        if isinstance(content, ChainSnapshot | OptionQuoteFrame):
            chain = isinstance(content, ChainSnapshot)
            topic = topics.OPTION_CHAIN if chain else topics.OPTION_QUOTE
            key = topics.chain_key(content.product, content.expiry)
        partition = topics.partition_for(content.product, PARTITIONS)
        raw = {
            "topic": topic,
            "partition": partition,
            "key": key.encode(),
            "headers": headers_for(content),
            "value": encode(content),
        }
        return self.add_raw(**{**raw, **changed})

    def add_raw(
        self,
        value: bytes | None,
        *,
        topic: str = topics.UNDERLYING,
        partition: int = HOME,
        key: bytes | None = PRODUCT.encode(),
        headers: Any = None,
        timestamp: int = OPEN,
    ) -> RawRecord:
        offset = self._next.get((topic, partition), 0)
        self._next[topic, partition] = offset + 1
        record = RawRecord(topic, partition, offset, timestamp, key, headers, value)
        self.records.append(record)
        return record

    def expectation(self, **how: Any) -> Expectation:
        expected = Expectation(rules(**how))
        expected.take_records(self.records)
        expected.finish()
        return expected


def legs(oi: Sequence[float | None], volume: Sequence[float | None] | None = None) -> Legs:
    """Legs with open interest and volume only; None in both is a missing leg."""
    none: list[float | None] = [None] * len(oi)
    return Legs(floats(oi), none, floats(volume or oi), none, none, none, none)


def floats(values: Sequence[float | None]) -> list[float | None]:
    """As they come off the wire."""
    return [None if value is None else float(value) for value in values]


def snapshot(
    strikes: Sequence[float], calls: Legs, puts: Legs, ts_event: int = OPEN, **changed: Any
) -> ChainSnapshot:
    chain = ChainSnapshot(
        product=PRODUCT,
        expiry="2024-01-04",
        source="test",
        ts_event=ts_event,
        ts_recv=ts_event,
        oi_unit="lots",
        strikes=list(strikes),
        calls=calls,
        puts=puts,
        underlying_price=21_700.0,
    )
    return msgspec.structs.replace(chain, **changed)


class Collection:
    """A MongoDB collection as far as the verifier reads one."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def find(self, *_: Any, **__: Any) -> Iterator[dict[str, Any]]:
        return iter([dict(row) for row in self.rows])


class Stores:
    """What came out: topics, MongoDB and Redis, filled as correct sinks would."""

    def __init__(self, namespace: str = "r1") -> None:
        self.namespace = topics.Namespace.parse(namespace)
        self.settings = settings()
        self.log = Log()
        self.outputs: list[RawRecord] = []
        self.partitions = dict.fromkeys(topics.ALL_TOPICS, PARTITIONS)
        self.mongo: dict[str, Collection] = {
            name: Collection()
            for name in (
                documents.TICKS,
                documents.TICK_RANGES,
                documents.BARS,
                documents.CHAINS,
                documents.SURFACES,
                documents.GAPS,
                documents.REJECTS,
            )
        }
        self.redis: dict[str, dict[str, Any] | None] = {}
        last = 1_000_000
        self.mongo[documents.TICK_RANGES].rows.append(
            {"epoch": EPOCH, "partition": HOME, "first": 0, "last": last}
        )

    def put(self, topic: str, key: str, record: Record, partition: int = HOME) -> None:
        """A record on an output topic."""
        self.outputs.append(
            RawRecord(
                topic,
                partition,
                len(self.outputs),
                OPEN,
                key.encode(),
                headers_for(record),
                encode(record),
            )
        )

    def put_bar(self, bar: Bar) -> None:
        self.put(topics.OHLC, bar.product, bar)
        document = documents.bar_document(bar)
        if bar.final:
            self.mongo[documents.BARS].rows.append({"_id": bar.id, **document})
        self.redis[redis_keys.ohlc(bar.product, bar.interval)] = as_json(document)

    def put_gap(self, gap: Gap) -> None:
        self.put(topics.GAPS, gap.product, gap)
        document = documents.gap_document(gap)
        self.mongo[documents.GAPS].rows.append({"_id": gap.id, **document})

    def put_chain(self, chain: ChainAnalytics) -> None:
        self.put(topics.CHAIN, topics.chain_key(chain.product, chain.expiry), chain)
        document = documents.chain_document(chain)
        self.mongo[documents.CHAINS].rows.append({"_id": chain.id, **document})
        self.redis[redis_keys.chain(chain.product, chain.expiry)] = as_json(document)
        pcr = as_json(documents.pcr_document(chain))
        self.redis[redis_keys.pcr(chain.product, chain.expiry)] = pcr
        for option in documents.option_documents(chain):
            self.redis[redis_keys.option(option["symbol"])] = as_json(option)

    def put_surface(self, surface: VolatilitySurface) -> None:
        self.put(topics.SURFACE, surface.product, surface)
        document = documents.surface_document(surface)
        self.mongo[documents.SURFACES].rows.append({"_id": surface.id, **document})
        self.redis[redis_keys.surface(surface.product)] = as_json(document)

    def put_reject(self, reject: Reject) -> None:
        self.put(topics.REJECTS, "", reject)
        row = {name: getattr(reject, name) for name in reject.__struct_fields__}
        self.mongo[documents.REJECTS].rows.append({"_id": reject.id, **row})

    def put_ticks(self, record: RawRecord, frame: TickFrame, epoch: str = EPOCH) -> None:
        """The rows of a frame; the latest tick is taken to be its last."""
        volumes = frame.volume or [None] * len(frame.ts_ms)
        for at, ts_ms in enumerate(frame.ts_ms):
            row = {"timestamp": ist(ts_ms), "product": frame.product, "price": frame.price[at]}
            row |= {"volume": volumes[at], "seq": frame.seq[at], "e": epoch}
            row |= {"p": record.partition, "o": record.offset, "i": at}
            self.mongo[documents.TICKS].rows.append(row)
        latest = documents.tick_document(
            frame.product,
            frame.ts_ms[-1],
            frame.price[-1],
            volumes[-1],
            frame.seq[-1],
            frame.source,
            frame.session,
        )
        self.redis[redis_keys.underlying(frame.product)] = as_json(latest)

    def verify(self, counts: Mapping[str, Any] | None = None) -> Report:
        check = Check(self.namespace, self.settings, nse_calendar(), self.partitions)
        check.take_inputs(self.log.records)
        check.take_outputs(self.outputs)
        check.compare_kafka()
        check.compare_mongo(cast(Mongo, self.mongo))
        check.compare_redis(self.redis)
        check.compare_counts(counts or {})
        return check.report()


def as_json(document: dict[str, Any]) -> dict[str, Any]:
    """The document as it comes back from Redis."""
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document))
    return decoded


def kinds(report: Report) -> set[str]:
    """Kind and place of every difference, ``"missing kafka analytics.ohlc"``."""
    return {f"{one.kind} {one.where}" for one in report.differences}


assert to_ms(ist(OPEN)) == OPEN
