"""Bytewax: ``fold_window`` over an event-time clock, closed windows to a topic.

After its "Windowing" and Kafka connector pages; without recovery, as by default. Started with
``python -m bytewax.run``. ``ordered=False`` spares it the sort by time (the ticks of a product come
in order), orjson the slower decoder of the standard library.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSourceMessage
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from bytewax.operators import windowing as win

from tests.bench.peers.order import Meter, Order

MINUTE = timedelta(minutes=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Tick = tuple[datetime, float]
Bar = list[float]
"""open, high, low, close; empty before the first tick."""

order = Order.given()
# A dataflow over a topic without an end has no call that stops it.
meter = Meter(order, lambda: os._exit(0))


def tick(message: KafkaSourceMessage[bytes | None, bytes | None]) -> tuple[str, Tick]:
    """Product, and time and price."""
    meter.count()
    row = orjson.loads(message.value or b"")
    return row["product"], (datetime.fromtimestamp(row["ts_ms"] / 1000, UTC), row["price"])


def fold(bar: Bar, found: Tick) -> Bar:
    """The bar with one more tick."""
    price = found[1]
    if not bar:
        return [price, price, price, price]
    if price > bar[1]:
        bar[1] = price
    elif price < bar[2]:
        bar[2] = price
    bar[3] = price
    return bar


def merge(first: Bar, second: Bar) -> Bar:
    """Asked for by ``fold_window``; tumbling windows never merge."""
    return [first[0], max(first[1], second[1]), min(first[2], second[2]), second[3]]


def record(closed: tuple[str, tuple[int, Bar]]) -> KafkaSinkMessage[bytes, bytes]:
    """A closed window for the output topic; a window's number counts minutes since ``EPOCH``."""
    product, (minute, bar) = closed
    row = {"start": minute * 60_000, "bar": bar}
    return KafkaSinkMessage(product.encode(), orjson.dumps(row))


flow = Dataflow("bars")
source = kop.input("ticks", flow, brokers=[order.kafka], topics=[order.topic])
keyed = op.map("decode", source.oks, tick)
clock = win.EventClock(lambda found: found[0], wait_for_system_duration=timedelta(seconds=10))
windower = win.TumblingWindower(length=MINUTE, align_to=EPOCH)
folded = win.fold_window("minutes", keyed, clock, windower, list, fold, merge, ordered=False)
bars = op.map("record", folded.down, record)
kop.output("bars", bars, brokers=[order.kafka], topic=order.output)
meter.start()
