"""The Faust app: an agent for each lane, fed whole fetches, and one checkpoint for all."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import faust
from faust.types import TP
from faust.types.transports import TransportT

from optionstream.streams.engine.checkpoint import Checkpoint
from optionstream.streams.engine.lane import Lane, LaneOptions
from optionstream.streams.engine.outbox import Outbox
from optionstream.streams.engine.recovery import StateTableManager
from optionstream.streams.engine.transport import FetchTransport
from optionstream.streams.process import end_process

BEAT_S = 0.2
LONGEST_REBALANCE_S = 60.0
LONGEST_STOP_S = 12.0
_FOR_EVER_S = 10.0 * 365 * 86_400
"""Faust's consumer is never asked for records, for which it would leave the group."""


class EngineApp(faust.App):
    """A Faust app whose agents read its lanes. ``checkpoint`` is set before it starts."""

    checkpoint: Checkpoint

    def __init__(
        self, group: str, kafka: str, lanes: Sequence[LaneOptions], **options: Any
    ) -> None:
        super().__init__(group, broker=_broker_urls(kafka), **options)
        self.lanes = [Lane(self, group, kafka, one) for one in lanes]
        self.outbox = Outbox(kafka)

    async def on_start(self) -> None:
        """Subscribe to the source topics: no agent reads them one record at a time."""
        await super().on_start()
        for lane in self.lanes:
            lane.reader.start()
            for name in lane.topics:
                self.topics.add(
                    self.topic(name, key_type=bytes, value_type=bytes, value_serializer="raw")
                )

    def read_from(self, generation: int, positions: Mapping[TP, int]) -> None:
        """Have each lane read its own of these partitions, from these offsets, and no others."""
        for lane in self.lanes:
            own = {tp: offset for tp, offset in positions.items() if tp.topic in lane.topics}
            lane.reader.read_from(generation, own)

    def stop_reading(self) -> None:
        """Read nothing, and apply nothing of what was read, until told again."""
        self.checkpoint.end()
        for lane in self.lanes:
            lane.reader.stop_reading()

    async def stop(self) -> None:
        """Stop in order, but not for ever: a stop that hangs ends the process."""
        deadline = threading.Timer(LONGEST_STOP_S, end_process, ["stopping took too long"])
        deadline.daemon = True
        deadline.start()
        self.stop_reading()
        await super().stop()
        for lane in self.lanes:
            lane.reader.close()
        self.outbox.close()
        deadline.cancel()

    async def watch(self) -> None:
        """Beat for the checkpoint, and end a process whose rebalance does not end.

        Until it is cancelled, not until a stop begins: the stop still settles what was applied.
        """
        since = time.monotonic()
        while True:
            now = time.monotonic()
            self.checkpoint.beat()
            if not self.rebalancing:
                since = now
            elif now - since > LONGEST_REBALANCE_S:
                end_process(f"a rebalance has not ended after {now - since:.0f} s")
            await asyncio.sleep(BEAT_S)

    def _new_transport(self) -> TransportT:
        return FetchTransport(self.conf.broker_consumer, self)


def engine_options(data_dir: Path, instance: str, session_timeout_s: float) -> dict[str, Any]:
    """The Faust settings that exactness and quick restarts depend on (docs/adr/0003)."""
    return {
        "autodiscover": False,
        "datadir": data_dir,
        "web_enabled": False,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "store": "memory://",
        "TableManager": StateTableManager,
        "table_standby_replicas": 0,
        "consumer_group_instance_id": instance,
        "consumer_auto_offset_reset": "earliest",
        "broker_session_timeout": session_timeout_s,
        "broker_heartbeat_interval": min(1.0, session_timeout_s / 4),
        "broker_rebalance_timeout": 10.0,
        "broker_request_timeout": 40.0,
        "broker_commit_interval": 1.0,
        "broker_max_poll_interval": _FOR_EVER_S,
    }


def _broker_urls(kafka: str) -> list[str]:
    return [f"kafka://{address.strip()}" for address in kafka.split(",")]
