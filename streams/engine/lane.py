"""A lane: source topics that are read together, apart from those of the other lanes.

A tick takes microseconds, a chain milliseconds. In one queue a tick would wait for the chains
before it; each lane has a queue and an agent of its own, which take turns slice by slice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import faust

from optionstream.streams.engine.reader import Fetch, FetchReader
from optionstream.streams.process import end_process

FETCHES_WAITING: Final = 2
"""Fetches of a lane at hand and not yet taken by its agent; its reader waits beyond that."""


@dataclass(frozen=True, slots=True)
class LaneOptions:
    """``gather_ms`` is how long a request for records waits for company (``FetchReader``)."""

    name: str
    topics: Sequence[str]
    gather_ms: int


class FetchChannel(faust.Channel[Fetch]):
    """What a lane's agent reads: its fetches as they are, without Faust's messages, events and
    queues, which a rebalance would empty."""

    def __init__(
        self, app: faust.App, *, take: Callable[[], Awaitable[Fetch]], **options: Any
    ) -> None:
        super().__init__(app, **options)
        self._take = take

    async def __anext__(self) -> Any:
        return await self._take()

    def _clone_args(self) -> Mapping[str, Any]:
        return {**super()._clone_args(), "take": self._take}


class Lane:
    """Brings the records of some topics from the broker to the agent that reads ``fetches``."""

    def __init__(self, app: faust.App, group: str, kafka: str, options: LaneOptions) -> None:
        self.name = options.name
        self.topics = frozenset(options.topics)
        self.fetches = FetchChannel(app, take=self._take)
        self._inbox: asyncio.Queue[Fetch] = asyncio.Queue()
        """From the reader's thread; the reader itself bounds it."""
        self._app = app
        self.reader = FetchReader(
            kafka,
            group,
            deliver=self._deliver,
            failed=end_process,
            most_waiting=FETCHES_WAITING,
            gather_ms=options.gather_ms,
        )

    def _deliver(self, fetch: Fetch) -> None:
        """In the reader's thread."""
        self._app.loop.call_soon_threadsafe(self._inbox.put_nowait, fetch)

    async def _take(self) -> Fetch:
        fetch = await self._inbox.get()
        self.reader.taken()
        return fetch
