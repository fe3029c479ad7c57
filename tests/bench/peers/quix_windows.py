"""Quix Streams: a tumbling window with several aggregations, final results to a topic.

After its "Windowing" and "Aggregations" pages; state in RocksDB with a changelog topic and
at-least-once, as by default.
"""

from __future__ import annotations

from typing import Any

from quixstreams import Application
from quixstreams.dataframe.windows import First, Last, Max, Min

from tests.bench.peers.order import Meter, Order


def event_time(value: dict[str, Any], headers: Any, timestamp: float, kind: Any) -> int:
    """The tick's own time instead of the record's."""
    return int(value["ts_ms"])


def main() -> None:
    """Run until the meter stops the application."""
    order = Order.given()
    app = Application(
        broker_address=order.kafka,
        consumer_group=order.name,
        auto_offset_reset="earliest",
        state_dir=order.folder,
        on_message_processed=lambda topic, partition, offset: meter.count(),
    )
    meter = Meter(order, app.stop)
    ticks = app.topic(order.topic, value_deserializer="json", timestamp_extractor=event_time)
    bars = app.topic(order.output, value_serializer="json")
    app.dataframe(ticks).tumbling_window(duration_ms=60_000).agg(
        open=First("price"), high=Max("price"), low=Min("price"), close=Last("price")
    ).final().to_topic(bars)
    meter.start()
    app.run()


if __name__ == "__main__":
    main()
