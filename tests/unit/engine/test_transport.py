"""Fetches: in which order what came is handed over, and what a rebalance leaves of them."""

from __future__ import annotations

import asyncio
from functools import partial
from types import SimpleNamespace
from typing import Any

from faust.types import TP

from optionstream.streams.engine.reader import Fetch
from optionstream.streams.engine.transport import FetchConsumer

TICKS = TP("market.underlying", 0)


class Handing:
    """A consumer with two lanes; what it hands over, and how much room it gives back."""

    def __init__(self) -> None:
        self.handed: list[Fetch] = []
        self.room = 0
        self.lane: Any = SimpleNamespace(
            inbox=asyncio.Queue(),
            reader=SimpleNamespace(taken=self._taken),
            hand_over=self._hand_over,
        )
        self.other: Any = SimpleNamespace(inbox=asyncio.Queue())
        """A lane on which nothing comes."""
        self.drainer = SimpleNamespace(should_stop=False)
        self.consumer: Any = SimpleNamespace(
            app=SimpleNamespace(lanes=[self.other, self.lane]),
            should_stop=False,
            flow_active=True,
            can_resume_flow=asyncio.Event(),
        )
        for name in ("_drain", "_hand_over"):
            method = getattr(FetchConsumer, name)
            setattr(self.consumer, name, partial(method, self.consumer))

    def _taken(self) -> None:
        self.room += 1

    async def _hand_over(self, fetch: Fetch) -> None:
        if fetch.generation < 0:
            raise asyncio.CancelledError  # a rebalance emptied the channel
        self.handed.append(fetch)

    async def hand_over(self, *fetches: Fetch) -> asyncio.Task[None]:
        """Start handing over what is in the inbox; returns when it is at rest."""
        for fetch in fetches:
            self.lane.inbox.put_nowait(fetch)
        draining = asyncio.create_task(FetchConsumer._drain_messages(self.consumer, self.drainer))
        await asyncio.sleep(0.01)
        return draining


def _fetch(generation: int = 1) -> Fetch:
    return Fetch(generation, {TICKS: ["tick"]})


def test_fetches_are_handed_over_in_their_order_and_make_room() -> None:
    async def steps() -> None:
        at, sent = Handing(), [_fetch(), _fetch(), _fetch()]
        draining = await at.hand_over(*sent)
        assert (at.handed, at.room) == (sent, 3)
        draining.cancel()

    asyncio.run(steps())


def test_a_fetch_that_a_rebalance_drops_makes_room_and_the_next_is_handed_over() -> None:
    async def steps() -> None:
        at = Handing()
        draining = await at.hand_over(_fetch(generation=-1), _fetch())
        assert (len(at.handed), at.room) == (1, 2)
        draining.cancel()

    asyncio.run(steps())


def test_a_fetch_waits_while_partitions_change() -> None:
    async def steps() -> None:
        at = Handing()
        at.consumer.flow_active = False
        draining = await at.hand_over(_fetch())
        assert (at.handed, at.room) == ([], 0)
        at.consumer.can_resume_flow.set()
        await asyncio.sleep(0.01)
        assert (len(at.handed), at.room) == (1, 1)
        draining.cancel()

    asyncio.run(steps())


def test_a_fetcher_that_is_stopped_while_a_fetch_waits_makes_room() -> None:
    async def steps() -> None:
        at = Handing()
        at.consumer.flow_active = False
        draining = await at.hand_over(_fetch())
        at.drainer.should_stop = True
        draining.cancel()
        await draining
        assert (at.handed, at.room) == ([], 1)

    asyncio.run(steps())
