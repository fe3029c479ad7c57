"""A bare Faust worker: one agent on one topic, everything else as Faust has it.

``python -m faust -A tests.bench.growth.bare_faust worker --without-web``, with its order in the
environment.
"""

from __future__ import annotations

import faust

from tests.bench.peers.order import Order

order = Order.given()
app = faust.App(order.name, broker=f"kafka://{order.kafka}", datadir=order.folder)


@app.agent(app.topic(order.topic, value_type=bytes))
async def read(stream: faust.StreamT[bytes]) -> None:
    """Take what comes."""
    async for _ in stream:
        pass
