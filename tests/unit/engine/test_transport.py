"""Fetches: who gathers, and in which order what came is handed over."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from optionstream.streams.engine.app import EngineApp
from optionstream.streams.engine.transport import (
    BUSY_FETCH,
    IDLE_FETCH,
    Fetch,
    FetchConsumer,
    GatheringThread,
)

TICKS, CHAINS = TP("market.underlying", 0), TP("market.option_chain", 0)


@pytest.mark.parametrize(
    ("brought", "follows"),
    [
        ({}, IDLE_FETCH),
        ({TICKS: ["alone"]}, IDLE_FETCH),
        ({TICKS: ["first", "second"]}, BUSY_FETCH),
        ({TICKS: ["tick"], CHAINS: ["chain"]}, BUSY_FETCH),
    ],
)
def test_the_broker_gathers_while_several_come_and_answers_at_once_when_few_do(
    brought: Any, follows: tuple[int, int]
) -> None:
    async def fetched_records(*_: Any, **__: Any) -> Any:
        return brought

    subscriptions = SimpleNamespace(fetch_context=nullcontext)
    fetcher = SimpleNamespace(
        fetched_records=fetched_records, _closed=False, _subscriptions=subscriptions
    )
    consumer: Any = SimpleNamespace(_fetcher=fetcher, _closed=False)
    thread: Any = object.__new__(GatheringThread)
    thread.consumer = SimpleNamespace(flow_active=True)
    assert asyncio.run(thread._fetch_records(consumer, {TICKS}, 0.1, 5_000)) == brought
    assert (fetcher._fetch_min_bytes, fetcher._fetch_max_wait_ms) == follows


def test_a_fetch_that_a_rebalance_overtook_is_read_again_from_where_the_state_is() -> None:
    """It came after recovery had set the position, and moved it on."""
    sought: list[dict[TP, int]] = []
    handed: list[Fetch] = []
    elsewhere = TP("market.option_chain", 1)
    app = SimpleNamespace(
        consumer_generation_id=1,
        checkpoint=SimpleNamespace(applied=lambda tps: dict.fromkeys(tps, 41)),
        in_order=dict,
    )
    drainer = SimpleNamespace(should_stop=False)

    async def getmany(**_: Any) -> Any:
        if app.consumer_generation_id == 1:
            app.consumer_generation_id = 2
            return {TICKS: ["stale"], elsewhere: ["of a partition that went"]}
        drainer.should_stop = True
        return {TICKS: ["again"]}

    async def seek_wait(positions: dict[TP, int]) -> None:
        sought.append(positions)

    async def hand_over(fetch: Fetch) -> None:
        handed.append(fetch)

    consumer = SimpleNamespace(
        app=app,
        should_stop=False,
        flow_active=True,
        consumer_stopped_errors=(),
        assignment=lambda: {TICKS},
        seek_wait=seek_wait,
        _get_active_partitions=lambda: {TICKS},
        _getmany=getmany,
        _hand_over=hand_over,
    )
    consumer._give_back = lambda records: FetchConsumer._give_back(consumer, records)  # type: ignore[arg-type]
    asyncio.run(FetchConsumer._drain_messages(consumer, drainer))  # type: ignore[arg-type]
    assert sought == [{TICKS: 42}]
    assert [(fetch.generation, fetch.records) for fetch in handed] == [(2, {TICKS: ["again"]})]


def test_partitions_are_applied_in_the_order_of_the_source_topics() -> None:
    """Ticks are quick: their bars need not wait for the chains that came with them."""
    app: Any = SimpleNamespace(_source_topics=[TICKS.topic, CHAINS.topic])
    ordered = EngineApp.in_order(app, {CHAINS: ["chain"], TICKS: ["tick"]})
    assert list(ordered.items()) == [(TICKS, ["tick"]), (CHAINS, ["chain"])]
