"""The Faust app: agents fed whole fetches, a checkpoint for each."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import faust
from faust.types import TP
from faust.types.transports import TransportT

from optionstream.streams.ending import end_process
from optionstream.streams.engine.checkpoint import Checkpoint
from optionstream.streams.engine.outbox import Outbox
from optionstream.streams.engine.reader import Fetch, FetchReader
from optionstream.streams.engine.recovery import StateTableManager
from optionstream.streams.engine.transport import FetchTransport

BEAT_S = 0.2
LONGEST_REBALANCE_S = 60.0
LONGEST_STOP_S = 12.0
FETCHES_WAITING = 2
"""Fetches handed over and not yet applied; the reader waits beyond that."""
_FOR_EVER_S = 10.0 * 365 * 86_400
"""Faust's consumer is never asked for records, for which it would leave the group."""


class EngineApp(faust.App):
    """A Faust app whose agents read ``fetches``. ``checkpoint`` is set before it starts."""

    checkpoint: Checkpoint

    def __init__(self, group: str, kafka: str, topics: list[str], **options: Any) -> None:
        self._source_topics = topics
        super().__init__(group, broker=_broker_urls(kafka), **options)
        self.fetches = self.channel(maxsize=FETCHES_WAITING)
        self.inbox: asyncio.Queue[Fetch] = asyncio.Queue()
        """From the reader's thread; the reader itself bounds it."""
        self.outbox = Outbox(kafka)
        self.reader = FetchReader(
            kafka, group, deliver=self._deliver, failed=end_process, most_waiting=FETCHES_WAITING
        )

    def _deliver(self, fetch: Fetch) -> None:
        """In the reader's thread."""
        self.loop.call_soon_threadsafe(self.inbox.put_nowait, fetch)

    async def on_start(self) -> None:
        """Subscribe to the source topics: no agent reads them one record at a time."""
        await super().on_start()
        self.reader.start()
        for name in self._source_topics:
            self.topics.add(
                self.topic(name, key_type=bytes, value_type=bytes, value_serializer="raw")
            )

    async def stop(self) -> None:
        """Stop in order, but not for ever: a stop that hangs ends the process."""
        deadline = threading.Timer(LONGEST_STOP_S, end_process, ["stopping took too long"])
        deadline.daemon = True
        deadline.start()
        await super().stop()
        self.reader.close()
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

    def in_order(self, records: Mapping[TP, list[Any]]) -> dict[TP, list[Any]]:
        """Partitions in the order of the source topics, so that what is quick comes first."""
        place = {name: at for at, name in enumerate(self._source_topics)}
        return dict(sorted(records.items(), key=lambda item: place[item[0].topic]))

    async def hand_over(self, fetch: Fetch) -> None:
        """Give a fetch to the agent; waits while it is behind."""
        await self.fetches.send(value=fetch)

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
        "broker_heartbeat_interval": 1.0,
        "broker_rebalance_timeout": 10.0,
        "broker_request_timeout": 40.0,
        "broker_commit_interval": 1.0,
        "broker_max_poll_interval": _FOR_EVER_S,
    }


def _broker_urls(kafka: str) -> list[str]:
    return [f"kafka://{address.strip()}" for address in kafka.split(",")]
