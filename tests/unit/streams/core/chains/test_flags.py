"""A snapshot against those before it: intraday change, repeats, stale and revised chains."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from optionstream.schemas.events import ChainSnapshot
from optionstream.streams.core.chains.analyse import ExpiryChains
from tests.unit.streams.core.chains.building import (
    NOON,
    RULES,
    STRIKES,
    analysed,
    analysis,
    at,
    priced_chain,
)

LOT = 65
MINUTE = 60_000
CLOSE = at("2026-01-06 15:30:00")
NEXT_DAY = at("2026-01-07 10:00:00")


def later(chain: ChainSnapshot, ts: int, oi: float = 100.0, volume: float = 500.0) -> ChainSnapshot:
    """The chain at another time with all its calls changed."""
    calls = replace(chain.calls, oi=[oi] * len(chain.strikes), volume=[volume] * len(chain.strikes))
    return replace(chain, ts_event=ts, ts_recv=ts, calls=calls)


def test_intraday_change_is_against_the_first_snapshot_of_the_day() -> None:
    first = priced_chain()
    told = analysed(first, later(first, NOON + MINUTE, 110), later(first, NOON + 2 * MINUTE, 90))
    assert [one.call_oi_intraday for one in told] == [
        0.0,
        10.0 * LOT * len(STRIKES),
        -10.0 * LOT * len(STRIKES),
    ]
    assert told[2].call_greeks.oi_intraday == [-10.0 * LOT] * len(STRIKES)
    assert told[2].put_oi_intraday == 0.0


def test_a_new_day_begins_a_new_baseline() -> None:
    first = priced_chain()
    told = analysed(first, later(first, NEXT_DAY, 300), later(first, NEXT_DAY + MINUTE, 301))
    assert told[1].call_oi_intraday == 0.0
    assert told[2].call_oi_intraday == LOT * len(STRIKES)


def test_a_strike_that_appears_during_the_day_has_no_intraday_change() -> None:
    whole = priced_chain()
    narrow = replace(
        whole,
        strikes=STRIKES[1:],
        **{
            name: type(legs)(
                **{column: getattr(legs, column)[1:] for column in legs.__struct_fields__}
            )
            for name, legs in (("calls", whole.calls), ("puts", whole.puts))
        },
    )
    told = analysed(narrow, replace(whole, ts_event=NOON + MINUTE))
    assert told[1].call_greeks.oi_intraday == [None] + [0.0] * (len(STRIKES) - 1)


def test_yesterdays_chain_is_stale_and_leaves_no_trace() -> None:
    today = later(priced_chain(), NEXT_DAY)
    yesterday = replace(priced_chain(), ts_recv=NEXT_DAY + 1)
    told = analysed(today, yesterday, later(today, NEXT_DAY + MINUTE, 101))
    assert told[1].flags == ["stale"]
    assert told[1].call_oi_intraday is None
    assert told[1].null_reasons["call_oi_intraday"] == "earlier_day"
    assert told[2].call_oi_intraday == LOT * len(STRIKES)
    assert told[2].flags == []


def test_a_chain_received_long_after_its_time_is_stale() -> None:
    limit = RULES.stale_ms
    assert analysis(replace(priced_chain(), ts_recv=NOON + limit)).flags == []
    assert analysis(replace(priced_chain(), ts_recv=NOON + limit + 1)).flags == ["stale"]


def test_yesterdays_content_under_todays_date_is_stale() -> None:
    first = priced_chain()
    told = analysed(first, replace(first, ts_event=NEXT_DAY, ts_recv=NEXT_DAY))
    assert told[1].flags == ["stale"]
    again = analysed(
        first,
        later(first, NEXT_DAY, 101),
        replace(first, ts_event=NEXT_DAY + MINUTE, ts_recv=NEXT_DAY + MINUTE),
    )
    assert again[2].flags == ["stale"]


def test_the_same_content_at_another_time_is_a_duplicate() -> None:
    first = priced_chain()
    told = analysed(first, replace(first, ts_event=NOON + MINUTE, ts_recv=NOON + MINUTE))
    assert [one.flags for one in told] == [[], ["duplicate"]]


@pytest.mark.parametrize(("ts", "flags"), [(CLOSE, ["revised_after_close"]), (CLOSE - 1_000, [])])
def test_changed_content_at_the_time_of_the_close_is_a_revision(ts: int, flags: list[str]) -> None:
    first = later(priced_chain(), ts)
    assert analysed(first, later(first, ts, 101))[1].flags == flags


def test_a_volume_that_falls_is_flagged_but_not_for_an_older_snapshot() -> None:
    first = priced_chain()
    fallen = later(first, NOON + MINUTE, volume=499.0)
    assert analysed(first, fallen)[1].flags == ["volume_decreased"]
    older = later(first, NOON - MINUTE, volume=499.0)
    assert analysed(first, older)[1].flags == []


def test_mixed_underlying_is_passed_on() -> None:
    assert analysis(replace(priced_chain(), mixed_underlying=True)).flags == ["mixed_underlying"]


def test_packed_memory_goes_on_as_if_it_had_never_stopped() -> None:
    first = priced_chain()
    chains = [
        first,
        later(first, NOON + MINUTE, 110),
        later(first, NOON + MINUTE, 110, 400.0),
        later(first, NEXT_DAY, 120),
        replace(first, ts_recv=NEXT_DAY),
        later(first, NEXT_DAY + MINUTE, 120, 100.0),
    ]
    expected = analysed(*chains)
    memory, told = ExpiryChains(), []
    for chain in chains:
        told.append(memory.analyse(chain, RULES, chain.ts_recv))
        memory = ExpiryChains.unpack(memory.pack())
    assert told == expected
