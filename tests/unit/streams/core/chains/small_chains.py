"""Chains of two strikes, and the partition that analyses them."""

from __future__ import annotations

from optionstream.schemas.events import LEG_COLUMNS, ChainSnapshot, Legs
from optionstream.schemas.topics import OPTION_CHAIN, partition_for
from optionstream.streams.core.chains.partition import ChainPartition
from optionstream.streams.core.intake import Source
from optionstream.streams.core.market.calendar import nse_calendar
from optionstream.streams.core.rules import Rules
from tests.unit.streams.core.ticks.helpers import OPEN, PARTITIONS

Column = list[float | None]


def legs(oi: Column, volume: Column | None = None) -> Legs:
    empty: Column = [None] * len(oi)
    columns = dict.fromkeys(LEG_COLUMNS, empty)
    return Legs(**{**columns, "oi": oi, "volume": volume or oi})


def chain(calls: Column, puts: Column, ts: int = OPEN, **more: object) -> ChainSnapshot:
    return ChainSnapshot(
        product="NIFTY",
        expiry="2026-01-13",
        source="t",
        ts_event=ts,
        ts_recv=ts,
        oi_unit="shares",
        strikes=[100.0 * (i + 1) for i in range(len(calls))],
        calls=legs(calls),
        puts=legs(puts),
        **more,
    )


def new_partition(live: bool = False) -> ChainPartition:
    home = partition_for("NIFTY", PARTITIONS)
    rules = Rules(nse_calendar(), 2_000, 60_000 if live else None)
    return ChainPartition(Source(OPTION_CHAIN, home, PARTITIONS), rules)
