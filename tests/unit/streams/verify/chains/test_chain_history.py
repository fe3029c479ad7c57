"""A snapshot against the earlier ones of its expiry, by hand: docs/semantics.md, Chains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optionstream.schemas.events import ChainSnapshot
from optionstream.streams.verify.chains.facts import ChainFacts
from optionstream.streams.verify.chains.history import ChainHistory
from optionstream.streams.verify.chains.recomputed import recomputed
from tests.unit.streams.verify.world import DAY, MINUTE, OPEN, legs, rules, snapshot

CLOSE = OPEN + 375 * MINUTE
STRIKES = [21_600.0, 21_700.0]
COMPARING = {"duplicate", "revised_after_close", "stale", "volume_decreased"}


def chain(interest: float = 10, ts_event: int = OPEN, **changed: Any) -> ChainSnapshot:
    """Open interest and volume of each leg are ``interest`` and 1,000."""
    side = legs([interest, interest], [1_000, 1_000])
    content = {"strikes": STRIKES, "calls": side, "puts": side, "oi_unit": "shares", **changed}
    return snapshot(ts_event=ts_event, **content)


def last_of(*chains: ChainSnapshot) -> ChainFacts:
    history = ChainHistory()
    return [recomputed(history.add_snapshot(one), rules()) for one in chains][-1]


def flags_of(*chains: ChainSnapshot) -> set[str]:
    return COMPARING & set(last_of(*chains).flags)


def intraday(found: ChainFacts) -> list[float]:
    return np.frombuffer(found.oi_intraday).tolist()


def test_the_first_snapshot_of_a_day_is_the_baseline() -> None:
    assert intraday(last_of(chain(10))) == [0, 0, 0, 0]
    found = last_of(chain(10), chain(25, OPEN + 1), chain(15, OPEN + 2))
    assert intraday(found) == [5, 5, 5, 5]
    assert (found.call_oi_intraday, found.put_oi_intraday) == (10, 10)
    assert intraday(last_of(chain(10), chain(99, OPEN + DAY))) == [0, 0, 0, 0]


def test_the_baseline_is_matched_by_strike() -> None:
    later = chain(15, OPEN + 1, strikes=[21_700.0, 21_800.0])
    found = last_of(chain(10), later)
    assert intraday(found)[::2] == [5, 5]
    assert np.isnan(intraday(found)[1::2]).all()
    assert found.call_oi_intraday == 5


def test_without_any_leg_in_common_there_is_no_baseline() -> None:
    found = last_of(chain(10), chain(15, OPEN + 1, strikes=[1.0, 2.0]))
    why = dict(found.null_reasons)
    assert (why["call_oi_intraday"], why["put_oi_intraday"]) == ("no_baseline", "no_baseline")
    assert (found.call_oi_intraday, found.put_oi_intraday) == (None, None)


def test_the_baseline_is_brought_to_the_unit_that_goes_out() -> None:
    # A lot of NIFTY was 50 shares.
    found = last_of(chain(100), chain(3, OPEN + 1, oi_unit="lots"))
    assert intraday(found) == [50, 50, 50, 50]
    unknown = {"product": "OTHER"}
    found = last_of(chain(100, **unknown), chain(3, OPEN + 1, oi_unit="lots", **unknown))
    assert dict(found.null_reasons)["call_oi_intraday"] == "no_baseline"


def test_a_snapshot_of_an_earlier_day_is_stale_and_leaves_no_trace() -> None:
    early = chain(99, OPEN, underlying_price=1.0)
    found = last_of(chain(10, OPEN + DAY), early)
    assert dict(found.null_reasons)["call_oi_intraday"] == "earlier_day"
    assert np.isnan(intraday(found)).all()
    assert flags_of(chain(10, OPEN + DAY), early) == {"stale"}
    assert intraday(last_of(chain(10, OPEN + DAY), early, chain(12, OPEN + DAY + 1))) == [2] * 4
    again = chain(99, OPEN + DAY + 1, underlying_price=1.0)
    assert flags_of(chain(10, OPEN + DAY), early, again) == set()


@pytest.mark.parametrize(
    ("moments", "flags"),
    [
        ([OPEN, OPEN + 1], {"duplicate"}),
        ([OPEN + 1, OPEN], {"duplicate"}),
        ([OPEN, OPEN], set()),
        ([OPEN, OPEN + DAY], {"stale"}),
        ([OPEN, OPEN + DAY, OPEN + DAY + 1], {"duplicate", "stale"}),
        ([OPEN, OPEN + DAY, OPEN + 2 * DAY], {"stale"}),
        ([OPEN + DAY, OPEN], {"stale"}),
    ],
)
def test_the_same_content_again(moments: list[int], flags: set[str]) -> None:
    assert flags_of(*(chain(10, moment, seq=at) for at, moment in enumerate(moments))) == flags


def test_content_of_two_days_ago_is_not_stale() -> None:
    days = [chain(10, OPEN), chain(11, OPEN + DAY), chain(10, OPEN + 2 * DAY)]
    assert flags_of(*days) == set()


@pytest.mark.parametrize(
    ("moment", "later", "flags"),
    [
        (CLOSE, CLOSE, {"revised_after_close"}),
        (CLOSE + 1, CLOSE + 1, {"revised_after_close"}),
        (CLOSE - 1, CLOSE - 1, set()),
        (CLOSE, CLOSE + 1, set()),
        (OPEN - DAY, OPEN - DAY, set()),
    ],
)
def test_other_content_at_the_same_time(moment: int, later: int, flags: set[str]) -> None:
    assert flags_of(chain(10, moment), chain(11, later)) == flags


@pytest.mark.parametrize(
    ("late_ms", "is_stale"), [(300_000, False), (300_001, True), (-300_001, False)]
)
def test_a_snapshot_received_late_is_stale(late_ms: int, is_stale: bool) -> None:
    assert ("stale" in flags_of(chain(ts_recv=OPEN + late_ms))) is is_stale


def test_a_volume_that_falls_is_told_unless_time_went_back() -> None:
    less = legs([10, 10], [1_000, 999])
    assert flags_of(chain(10), chain(11, OPEN, puts=less)) == {"volume_decreased"}
    assert flags_of(chain(10), chain(11, OPEN + 1, calls=less)) == {"volume_decreased"}
    assert flags_of(chain(10), chain(11, OPEN - 1, puts=less)) == set()
    assert flags_of(chain(10), chain(11, OPEN + DAY, puts=less)) == set()
    assert flags_of(chain(10), chain(11, OPEN + 1, puts=less, strikes=[1.0, 2.0])) == set()


def test_a_volume_is_compared_by_strike_and_with_the_last_snapshot_only() -> None:
    shifted = chain(11, OPEN + 1, strikes=[21_700.0, 21_800.0], puts=legs([1, 1], [999, 1]))
    assert flags_of(chain(10), shifted) == {"volume_decreased"}
    between = chain(11, OPEN + 1, puts=legs([1, 1], [0, 0]))
    assert flags_of(chain(10), between, chain(12, OPEN + 2, puts=legs([1, 1], [1, 1]))) == set()
