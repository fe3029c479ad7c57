"""Latency of the live path: from a tick's scheduled send time to where its reader has it.

One beat a millisecond, at the pace of the exchange: event time passes as fast as the clock. Nothing
is omitted: each record has a scheduled time and its latency counts from there; a sender that is
late sends at once, and its lateness is part of the figure. What is compared is sent by the same
loop in the same process; each reader is a process of its own (``latency_read``), and all of them
read the same clock.

``bar in Redis`` is a client's ``MGET`` of the bar's key, made when Redis tells that the key was set
(keyspace notifications; Redis sends them when the whole write of the sink has run, so that the
value is there). ``Pub/Sub`` is the message on ``market:underlying``, which the sink's script
publishes along with the write of the tick's key. ``bare Kafka`` is ``produce`` to ``poll`` of the
same records without workers, ``bare Redis`` is ``publish`` of the same ticks to a subscriber.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import redis
from confluent_kafka import Producer

from optionstream.deploy.namespaces.catalogue import drop_namespace
from optionstream.deploy.namespaces.topics import ensure_topics
from optionstream.deploy.stack import Addresses
from optionstream.schemas import redis_keys
from optionstream.schemas.documents import tick_document
from optionstream.schemas.events import Tick
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import OHLC, OPTION_CHAIN, UNDERLYING, Namespace
from tests.bench.inputs import PRODUCTS, session_ticks
from tests.bench.latency_figures import BAR, BARE_KAFKA, BARE_REDIS, PUBSUB, Late, Latencies
from tests.bench.latency_read import Seen, reader
from tests.bench.latency_ticks import (
    INTERVAL,
    Schedule,
    bars_reached,
    latencies_ms,
    ticks_reached,
)
from tests.bench.live import Sent, batches, send
from tests.bench.worker import metric, running_worker

BEAT_S = 0.001
_SEGMENTS = 5
_FIRST_S = 1.0
"""The start of a run does not count."""
_WARM_UP_S = 5.0
_SETTLE_S = 60.0
_LOOK_S = 0.2
_LAST_S = 1.0
"""How long the last record of a bare run may take."""

Feed = Sequence[list[Sent]]


class Latency:
    """The servers, and how long each run of ours is measured."""

    def __init__(
        self, addresses: Addresses, settings: Settings, folder: Path, seconds: float
    ) -> None:
        self._addresses = addresses
        self._settings = settings
        self._folder = folder
        self._seconds = seconds
        self._redis = redis.Redis.from_url(addresses.redis)
        self._runs = 0
        self._rate = 0
        self._processes: dict[Path, subprocess.Popen[bytes]] = {}
        """The running workers by their log."""

    def warm_servers(self, ticks_a_second: int, seconds: float) -> None:
        """The same load, unmeasured: a broker that has just started compiles itself meanwhile,
        which would count against whoever is measured first."""
        self._rate = ticks_a_second
        beats = round(seconds / BEAT_S)
        feed = list(islice(batches(session_ticks(self._rate), self._rate, BEAT_S), beats))
        with self._namespace("bench-latency-warm") as namespace, ExitStack() as stack:
            self._workers(stack, namespace)
            self._send(namespace, feed, Schedule())

    def measure(self, ticks_a_second: int, with_stages: bool) -> Latencies:
        """Bare clients, ours, and the bare clients again."""
        self._rate = ticks_a_second
        feed = self._feed()
        found = Latencies(ticks_a_second)
        kafka, publish = self._bare_kafka(feed), self._bare_redis(feed)
        found.late |= self._ours(feed)
        if with_stages:
            found.stages, found.means = self._stages(feed)
        kafka += self._bare_kafka(feed)
        publish += self._bare_redis(feed)
        found.late[BARE_KAFKA] = Late.median_of(kafka)
        found.late[BARE_REDIS] = Late.median_of(publish)
        return found

    def _feed(self) -> Feed:
        """All records, encoded beforehand: the sender only sends."""
        beats = round((_WARM_UP_S + self._seconds) / BEAT_S)
        return list(islice(batches(session_ticks(self._rate), self._rate, BEAT_S), beats))

    # -- beside it --------------------------------------------------------------------------

    def _bare_kafka(self, feed: Feed) -> list[Late]:
        """Five short measurements of ``produce`` to ``poll``."""
        feed = self._bare_part(feed)
        with self._namespace("bench-latency-bare") as namespace:
            topics = [namespace.topic(base) for base in (UNDERLYING, OPTION_CHAIN)]
            with reader("kafka", self._addresses.kafka, topics) as seen:
                schedule, producer = Schedule(), sender(self._addresses.kafka)
                send(producer, namespace, self._settings, feed, BEAT_S, schedule.note)
                time.sleep(_LAST_S)
        ticks = [one for one in seen if one[0] == topics[0]]
        return _segments(schedule, ticks)

    def _bare_redis(self, feed: Feed) -> list[Late]:
        """Five short measurements of ``publish`` to the subscriber."""
        channel, schedule = "bench-latency-bare", Schedule()
        documents = [_documents(batch) for batch in self._bare_part(feed)]
        with reader("pubsub", self._addresses.redis, [channel]) as seen:
            start = time.monotonic()
            for beat, batch in enumerate(documents):
                due = start + beat * BEAT_S
                time.sleep(max(0.0, due - time.monotonic()))
                pipe = self._redis.pipeline(transaction=False)
                for record, document in batch:
                    pipe.publish(channel, document)
                    schedule.note(record, due, time.monotonic())
                pipe.execute()
            time.sleep(_LAST_S)
        return _segments(schedule, seen)

    def _bare_part(self, feed: Feed) -> Feed:
        return feed[: round((_FIRST_S + self._seconds / 2) / BEAT_S)]

    # -- ours -------------------------------------------------------------------------------

    def _ours(self, feed: Feed) -> dict[str, Late]:
        with self._namespace("bench-latency") as namespace, ExitStack() as stack:
            self._workers(stack, namespace)
            bars = stack.enter_context(self._bars(namespace))
            messages = stack.enter_context(self._messages(namespace))
            schedule = self._warm_up(namespace, feed)
            since = self._measured(namespace, feed, schedule)
            stack.close()
        return {
            BAR: Late.of(latencies_ms(schedule, bars_reached(bars, self._rate), since)),
            PUBSUB: Late.of(latencies_ms(schedule, ticks_reached(messages), since)),
        }

    def _stages(self, feed: Feed) -> tuple[dict[str, Late], dict[str, float]]:
        """The same once more, watched at the topics between: a run of its own, because watching
        costs."""
        with self._namespace("bench-latency-stages") as namespace, ExitStack() as stack:
            ports = self._workers(stack, namespace)
            topics = [namespace.topic(base) for base in (UNDERLYING, OHLC)]
            bars = stack.enter_context(self._bars(namespace))
            seen = stack.enter_context(reader("kafka", self._addresses.kafka, topics))
            schedule = self._warm_up(namespace, feed)
            before = _inside(ports)
            since = self._measured(namespace, feed, schedule)
            means = _means(before, _inside(ports))
            stack.close()
        there = {
            "… in the input topic": ticks_reached([one for one in seen if one[0] == topics[0]]),
            "… in the output topic": bars_reached(
                [one for one in seen if one[0] == topics[1]], self._rate
            ),
            "… in Redis": bars_reached(bars, self._rate),
        }
        at = {"breakdown: sent": schedule.lateness_ms(since)}
        at |= {name: latencies_ms(schedule, reached, since) for name, reached in there.items()}
        return {name: Late.of(times) for name, times in at.items()}, means

    def _workers(self, stack: ExitStack, namespace: Namespace) -> dict[str, int]:
        """Both workers, and the ports of their metrics."""
        ports = {}
        for group in ("analytics", "latest"):
            log = self._folder / f"{namespace.name}-{group}.log"
            place = namespace, self._addresses, self._settings, log
            process, ports[group] = stack.enter_context(running_worker(group, *place))
            self._processes[log] = process
            stack.callback(self._processes.pop, log)
        return ports

    def _bars(self, namespace: Namespace) -> AbstractContextManager[Seen]:
        self._redis.config_set("notify-keyspace-events", "K$")
        return reader("keys", self._addresses.redis, self._keys(namespace))

    @staticmethod
    def _keys(namespace: Namespace) -> list[str]:
        """The key of each product's bar."""
        return [namespace.redis(redis_keys.ohlc(product, INTERVAL)) for product in PRODUCTS]

    def _messages(self, namespace: Namespace) -> AbstractContextManager[Seen]:
        channel = namespace.redis(redis_keys.CHANNEL_UNDERLYING)
        return reader("pubsub", self._addresses.redis, [channel])

    def _warm_up(self, namespace: Namespace, feed: Feed) -> Schedule:
        """The workers start and catch up."""
        schedule = Schedule()
        self._send(namespace, feed[: round(_WARM_UP_S / BEAT_S)], schedule)
        return schedule

    def _measured(self, namespace: Namespace, feed: Feed, schedule: Schedule) -> float:
        """Send the rest; the instant from which ticks count."""
        since = time.monotonic() + _FIRST_S
        self._send(namespace, feed[round(_WARM_UP_S / BEAT_S) :], schedule)
        return since

    def _send(self, namespace: Namespace, feed: Feed, schedule: Schedule) -> None:
        """Send, and wait until all of it can be read."""
        producer = sender(self._addresses.kafka)
        send(producer, namespace, self._settings, feed, BEAT_S, schedule.note)
        deadline = time.monotonic() + _SETTLE_S
        while not self._all_there(namespace, schedule):
            for log, process in self._processes.items():
                if process.poll() is not None:
                    raise RuntimeError(f"a worker ended with {process.returncode}; see {log}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"not all ticks could be read {_SETTLE_S:g} s after the last")
            time.sleep(_LOOK_S)
        time.sleep(_LOOK_S)

    def _all_there(self, namespace: Namespace, schedule: Schedule) -> bool:
        held: list[Any] = self._redis.mget(self._keys(namespace))
        values = zip(PRODUCTS, held, strict=True)
        seen: Seen = [(product, value, 0.0) for product, value in values if value is not None]
        reached = bars_reached(seen, self._rate)
        return all(
            reached[product] and reached[product][0][0] == len(due)
            for product, due in schedule.due.items()
        )

    @contextmanager
    def _namespace(self, name: str) -> Iterator[Namespace]:
        """A namespace with its topics, dropped at the end."""
        self._runs += 1
        namespace = Namespace.parse(f"{name}-{self._runs}")
        ensure_topics(self._addresses.kafka, namespace, self._settings)
        try:
            yield namespace
        finally:
            drop_namespace(self._addresses, namespace.name, self._settings)


def sender(kafka: str) -> Producer:
    """The client that sends for all measurements: nothing waits in it for company."""
    return Producer(
        {"bootstrap.servers": kafka, "acks": "all", "enable.idempotence": True, "linger.ms": 0}
    )


def _segments(schedule: Schedule, ticks: Seen) -> list[Late]:
    """Percentiles of each of five equal parts of a run."""
    since = min(due[0] for due in schedule.due.values()) + _FIRST_S
    times = latencies_ms(schedule, ticks_reached(ticks), since)
    due = schedule.due_since(since)
    in_order = times[np.argsort(due, kind="stable")]
    return [Late.of(part) for part in np.array_split(in_order, _SEGMENTS)]


def _documents(batch: Sequence[Sent]) -> list[tuple[Sent, bytes]]:
    """The ticks of a batch as the sink publishes them."""
    made = []
    for record in batch:
        if record.base == UNDERLYING:
            tick = msgspec.json.decode(record.value, type=Tick)
            document = tick_document(
                tick.product,
                tick.ts_ms,
                tick.price,
                tick.volume,
                record.number,
                tick.source or "",
                tick.session or "",
            )
            made.append((record, msgspec.json.encode(document)))
    return made


_ANALYTICS = "optionstream_analytics"
_INSIDE = {
    "fetch waits for the agent": (
        "analytics",
        "optionstream_analytics_fetch_wait_seconds",
        "ticks",
    ),
    "apply and send": ("analytics", "optionstream_analytics_take_seconds", "ticks"),
    "sink's flush": ("latest", "optionstream_sink_flush_seconds", None),
}


Inside = dict[str, tuple[float, float]]
"""Sum in seconds and count of each histogram of ``_INSIDE``."""


def _inside(ports: dict[str, int]) -> Inside:
    return {
        name: (
            metric(ports[group], f"{histogram}_sum", lane),
            metric(ports[group], f"{histogram}_count", lane),
        )
        for name, (group, histogram, lane) in _INSIDE.items()
    }


def _means(before: Inside, after: Inside) -> dict[str, float]:
    """Mean milliseconds between the two looks."""
    return {
        name: (after[name][0] - total) / (after[name][1] - count) * 1_000
        for name, (total, count) in before.items()
    }
