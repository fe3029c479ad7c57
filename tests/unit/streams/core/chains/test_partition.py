"""Chain analytics: totals, ratios, max pain, identity."""

from __future__ import annotations

import random
from typing import NamedTuple

import msgspec
import pytest

from optionstream.schemas import codec
from optionstream.schemas import rejects as reasons
from optionstream.schemas.derived import ChainAnalytics, Reject
from optionstream.schemas.events import ChainSnapshot
from optionstream.streams.core.chains.analyse import ChainAnalyser
from optionstream.streams.core.chains.partition import HORIZON, ChainPartition
from optionstream.streams.core.market.calendar import nse_calendar
from optionstream.streams.core.rules import Rules
from tests.unit.streams.core.chains.small_chains import Column, chain, new_partition
from tests.unit.streams.core.ticks.helpers import OPEN, Record, at

NO_PRICES = {
    "call_oi_change": "no_oi_change",
    "put_oi_change": "no_oi_change",
    "forward": "no_parity_pair",
    "atm_strike": "no_forward",
    "atm_iv": "no_atm",
    "straddle": "no_atm",
    "pcr_oi_near": "no_atm",
    "pcr_volume_near": "no_atm",
    "gex_total": "no_iv",
}
"""What has no value where a chain has neither prices nor changes of open interest."""


def analyse_chain(one: ChainSnapshot) -> ChainAnalytics:
    return ChainAnalyser(Rules(nse_calendar())).analyse(one)


class Played(NamedTuple):
    part: ChainPartition
    analytics: list[ChainAnalytics]
    rejects: list[Reject]


def records(*chains: ChainSnapshot) -> list[Record]:
    return [
        Record(i, 0, b"NIFTY:2026-01-13", codec.encode(one), codec.headers_for(one))
        for i, one in enumerate(chains)
    ]


def play(*chains: ChainSnapshot, live: bool = False) -> Played:
    part = new_partition(live)
    out = [one.record for one in part.apply(records(*chains))]
    return Played(
        part,
        [one for one in out if isinstance(one, ChainAnalytics)],
        [one for one in out if isinstance(one, Reject)],
    )


def test_put_call_ratio_is_put_over_call_totals() -> None:
    told = analyse_chain(chain([10, 30], [20, 40]))
    assert (told.call_oi, told.put_oi, told.pcr_oi, told.pcr_volume) == (40, 60, 1.5, 1.5)
    assert told.null_reasons == NO_PRICES


@pytest.mark.parametrize(
    ("calls", "puts", "reasons"),
    [
        (
            [None, None],
            [1.0, 2.0],
            dict.fromkeys(("pcr_oi", "pcr_volume", "max_pain"), "no_calls")
            | {"call_oi": "no_oi", "call_volume": "no_volume"},
        ),
        (
            [1.0, 2.0],
            [None, None],
            dict.fromkeys(("pcr_oi", "pcr_volume", "max_pain"), "no_puts")
            | {"put_oi": "no_oi", "put_volume": "no_volume"},
        ),
        ([0.0, 0.0], [1.0, 2.0], {"pcr_oi": "zero_call_oi", "pcr_volume": "zero_call_volume"}),
        (
            [0.0, 0.0],
            [0.0, 0.0],
            {"pcr_oi": "zero_call_oi", "pcr_volume": "zero_call_volume", "max_pain": "no_oi"},
        ),
    ],
)
def test_what_cannot_be_computed_is_null_with_a_reason(
    calls: Column, puts: Column, reasons: dict[str, str]
) -> None:
    told = analyse_chain(chain(calls, puts))
    known = {k: v for k, v in told.null_reasons.items() if k not in NO_PRICES}
    known = {k: v for k, v in known.items() if not k.endswith("_intraday")}
    assert known == reasons
    assert all(getattr(told, name) is None for name in reasons)


def test_max_pain_equals_a_plain_double_loop_and_ties_go_to_the_lowest_strike() -> None:
    rng = random.Random(3)
    for _ in range(200):
        size = rng.randint(1, 12)
        calls = [float(rng.randint(0, 5)) for _ in range(size)]
        puts = [float(rng.randint(0, 5)) for _ in range(size)]
        one = chain(calls, puts)
        pain = [
            sum(
                c * max(s - k, 0) + p * max(k - s, 0)
                for k, c, p in zip(one.strikes, calls, puts, strict=True)
            )
            for s in one.strikes
        ]
        expected = one.strikes[pain.index(min(pain))] if any(calls + puts) else None
        assert analyse_chain(one).max_pain == expected


def test_missing_legs_are_counted_and_flagged() -> None:
    told = analyse_chain(chain([1.0, None, 2.5], [None, 2.0, 3.0]))
    assert told.missing_legs == 2
    assert told.flags == ["fractional_oi", "missing_legs"]


def test_the_closing_snapshot_is_inside_its_session() -> None:
    assert analyse_chain(chain([1.0], [1.0], at("2026-01-06 15:30:00"))).flags == []
    assert analyse_chain(chain([1.0], [1.0], at("2026-01-06 15:30:01"))).flags == [
        "outside_session"
    ]


def test_the_same_snapshot_twice_is_one_and_changed_content_is_another() -> None:
    one, revised = chain([1.0], [2.0]), chain([1.0], [3.0])
    again = msgspec.structs.replace(one, ts_recv=OPEN + 5, capture_id="x", source="other")
    played = play(one, again, revised, one)
    assert [told.put_oi for told in played.analytics] == [2.0, 3.0]
    assert sum(counts.duplicates for counts in played.part.counts()) == 2


def test_identical_content_at_another_time_is_another_snapshot() -> None:
    assert len(play(chain([1.0], [2.0]), chain([1.0], [2.0], OPEN + 1)).analytics) == 2


def test_numbered_snapshots_repeat_by_number() -> None:
    one = chain([1.0], [2.0], seq=7, session="d")
    two = chain([1.0], [9.0], seq=7, session="d")
    assert len(play(one, two).analytics) == 1


def test_memory_of_unnumbered_snapshots_is_bounded() -> None:
    many = [chain([1.0], [2.0], OPEN + i) for i in range(HORIZON + 1)]
    played = play(*many, many[-1], many[0])
    assert sum(counts.duplicates for counts in played.part.counts()) == 1
    assert len(played.analytics) == HORIZON + 2


def test_stopping_and_restoring_changes_nothing() -> None:
    rng = random.Random(5)
    pool = [chain([1.0], [float(i)], OPEN + i) for i in range(20)]
    pool += [chain([1.0], [float(i)], OPEN + i, seq=i, session=f"s{i % 3}") for i in range(20)]
    events = records(*[rng.choice(pool) for _ in range(200)])
    whole, part, stored = new_partition(), new_partition(), dict[str, bytes]()
    for one in events:
        expected = whole.apply([one])
        got = part.apply([one])
        assert got == expected
        stored.update({k: v for k, v in part.take_segments().items() if v is not None})
        hot = part.hot()
        part = new_partition()
        part.restore(hot, stored)
    assert part.hot() == whole.hot()


def test_bad_times_are_refused() -> None:
    assert [one.reason for one in play(chain([1.0], [1.0], at("2099-01-05 10:00:00"))).rejects] == [
        reasons.NO_CALENDAR
    ]
    assert [one.reason for one in play(chain([1.0], [1.0], 1_000)).rejects] == [reasons.BAD_TIME]
    ahead = msgspec.structs.replace(chain([1.0], [1.0]), ts_recv=OPEN - 60_001)
    assert [one.reason for one in play(ahead, live=True).rejects] == [reasons.FUTURE_EVENT]
    assert play(ahead).rejects == []
