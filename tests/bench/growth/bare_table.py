"""A bare Faust worker that is a static member and has a table in memory, with nothing in it.

Started like ``bare_faust``. When its first record is handled it writes that moment (``time.time``)
to the file that the order calls its result.
"""

from __future__ import annotations

import time
from pathlib import Path

import faust

from tests.bench.peers.order import Order

SESSION_S = 6.0
"""That of the analytics worker, so that a dead member is held as long."""

order = Order.given()
app = faust.App(
    order.name,
    broker=f"kafka://{order.kafka}",
    datadir=order.folder,
    store="memory://",
    consumer_group_instance_id=f"{order.name}-1",
    broker_session_timeout=SESSION_S,
    broker_heartbeat_interval=1.0,
)
table = app.Table("empty", default=int, partitions=order.partitions)


@app.agent(app.topic(order.topic, value_type=bytes))
async def read(stream: faust.StreamT[bytes]) -> None:
    """Take what comes; tell when it began."""
    told = False
    async for _ in stream:
        if not told:
            told = True
            partial = Path(order.result + ".part")
            partial.write_text(repr(time.time()))
            partial.rename(order.result)
