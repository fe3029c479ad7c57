"""Stock Faust: a tumbling table, one tick a record, as in its guide "Tables and Windowing".

Started with ``python -m faust``; the memory store, as by default (the fastest). The table never
expires: Faust compares a window's end with the clock of the machine, and would drop the bars of a
replayed day at once. The table's changelog is the output.
"""

from __future__ import annotations

import os
import signal

import faust

from tests.bench.peers.order import Meter, Order

order = Order.given()
meter = Meter(order, lambda: os.kill(os.getpid(), signal.SIGTERM))

app = faust.App(
    order.name,
    broker=f"kafka://{order.kafka}",
    topic_partitions=order.partitions,
    datadir=order.folder,
)


class Tick(faust.Record, serializer="json"):
    """The fields of a tick that a bar needs; Faust passes over the others."""

    product: str
    ts_ms: int
    price: float


def event_time(event: faust.EventT[Tick]) -> float:
    """Seconds, as windows count them."""
    return float(event.value.ts_ms / 1000)


ticks = app.topic(order.topic, value_type=Tick)
bars = app.Table("bars", default=list).tumbling(60.0).relative_to(event_time)


@app.agent(ticks)
async def aggregate(stream: faust.StreamT[Tick]) -> None:
    """Read, change and write back the bar of the tick's minute: [open, high, low, close]."""
    async for tick in stream:
        price = tick.price
        bar = bars[tick.product].value()
        if bar:
            bar = [bar[0], max(bar[1], price), min(bar[2], price), price]
        else:
            bar = [price, price, price, price]
        bars[tick.product] = bar
        meter.count()


@app.task
async def watch() -> None:
    """The meter starts with the worker."""
    meter.start()
