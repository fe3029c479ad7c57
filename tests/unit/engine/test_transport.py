"""Fetches: who gathers, and in which order what came is handed over."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from optionstream.streams.engine.app import EngineApp
from optionstream.streams.engine.transport import BUSY_FETCH, IDLE_FETCH, GatheringThread

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


def test_partitions_are_applied_in_the_order_of_the_source_topics() -> None:
    """Ticks are quick: their bars need not wait for the chains that came with them."""
    app: Any = SimpleNamespace(_source_topics=[TICKS.topic, CHAINS.topic])
    ordered = EngineApp.in_order(app, {CHAINS: ["chain"], TICKS: ["tick"]})
    assert list(ordered.items()) == [(TICKS, ["tick"]), (CHAINS, ["chain"])]
