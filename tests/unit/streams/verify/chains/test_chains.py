"""Fates and figures of chains, by hand: docs/semantics.md, Chains."""

from __future__ import annotations

from typing import Any

import pytest

from optionstream.schemas import rejects, topics
from optionstream.schemas.events import ChainSnapshot, Legs
from optionstream.streams.verify.chains.facts import ChainFacts
from optionstream.streams.verify.chains.history import ChainHistory
from optionstream.streams.verify.chains.judge import figures_agree
from optionstream.streams.verify.chains.recomputed import recomputed
from tests.unit.streams.verify.world import DAY, MINUTE, OPEN, Log, legs, rules, snapshot

FNO_CLOSE = OPEN + 375 * MINUTE
NONE: list[float | None] = [None, None, None]
ONE = legs([1, 1, 1])


def facts(*chains: ChainSnapshot) -> ChainFacts:
    """Of the last one of an expiry's snapshots."""
    history = ChainHistory()
    return [recomputed(history.add_snapshot(chain), rules()) for chain in chains][-1]


def chain_of(calls: Legs, puts: Legs, **changed: Any) -> ChainFacts:
    content = {"oi_unit": "shares", **changed}
    return facts(snapshot([100.0, 110.0, 120.0], calls, puts, **content))


def reasons_of(found: ChainFacts) -> dict[str, str]:
    """Why figures of interest are null; those of price are in test_chain_pricing."""
    names = ("pcr_oi", "pcr_volume", "max_pain")
    return {name: why for name, why in found.null_reasons if name in names}


def fates(log: Log, **how: Any) -> tuple[int, int, dict[str, int]]:
    expected = log.expectation(**how)
    counts = expected.counts()[topics.OPTION_CHAIN]
    assert counts.balanced
    return counts.accepted, counts.duplicates, dict(counts.rejects)


def test_totals_ratios_and_max_pain() -> None:
    found = chain_of(legs([10, 20, 30], [1, 1, 2]), legs([5, 40, 15], [3, 0, 5]))
    assert (found.call_oi, found.put_oi, found.pcr_oi) == (60, 60, 1.0)
    assert (found.call_volume, found.put_volume, found.pcr_volume) == (4, 8, 2.0)
    # at 100: puts 40*10 + 15*20 = 700; 110: 10*10 + 15*10 = 250; 120: 10*20 + 20*10 = 400
    assert found.max_pain == 110
    assert (found.flags, reasons_of(found), found.missing_legs) == ((), {}, 0)


def test_of_equal_pains_the_lowest_strike_counts() -> None:
    # at 100: 10*20 = 200; 110: 10*10 + 10*10 = 200; 120: 10*20 = 200
    assert chain_of(legs([10, 0, 0]), legs([0, 0, 10])).max_pain == 100


def test_legs_without_the_figure_are_left_out_of_its_sum() -> None:
    calls = Legs([1, None, 2], NONE, [4, 5, None], NONE, NONE, NONE, NONE)
    found = chain_of(calls, legs([3, 3, 3]))
    assert (found.call_oi, found.call_volume, found.missing_legs) == (3, 9, 0)


def test_a_chain_without_calls() -> None:
    found = chain_of(legs(NONE), legs([1, None, 2]))
    assert (found.pcr_oi, found.pcr_volume, found.max_pain) == (None, None, None)
    assert reasons_of(found) == dict.fromkeys(("pcr_oi", "pcr_volume", "max_pain"), "no_calls")
    assert (found.missing_legs, found.flags) == (4, ("missing_legs",))


def test_a_chain_without_puts() -> None:
    found = chain_of(legs([1, 1, 1]), legs(NONE))
    assert reasons_of(found) == dict.fromkeys(("pcr_oi", "pcr_volume", "max_pain"), "no_puts")


def test_calls_without_interest_or_volume() -> None:
    found = chain_of(legs([0, 0, 0]), legs([1, 1, 1]))
    assert reasons_of(found) == {"pcr_oi": "zero_call_oi", "pcr_volume": "zero_call_volume"}
    assert found.max_pain == 120


def test_no_open_interest_at_all_has_no_max_pain() -> None:
    prices = Legs(NONE, NONE, [1, 1, 1], NONE, [9, 9, 9], NONE, NONE)
    found = chain_of(prices, prices)
    assert reasons_of(found) == {"pcr_oi": "no_oi", "max_pain": "no_oi"}
    assert found.pcr_volume == 1


def test_a_leg_with_a_price_only_is_there() -> None:
    calls = Legs(NONE, NONE, NONE, NONE, [1, None, None], NONE, NONE)
    assert chain_of(calls, legs([1, 1, 1])).missing_legs == 2


def test_flags_are_sorted() -> None:
    found = chain_of(legs([1.5, None, 1]), legs([1, 1, 1]), ts_event=FNO_CLOSE + 1)
    assert found.flags == ("fractional_oi", "missing_legs", "outside_session")


@pytest.mark.parametrize(
    ("ts_event", "outside"),
    [
        (OPEN - 1, True),
        (OPEN, False),
        (FNO_CLOSE, False),
        (FNO_CLOSE + 1, True),
        (OPEN - DAY, True),
    ],
)
def test_the_instant_of_the_close_is_inside(ts_event: int, outside: bool) -> None:
    found = chain_of(legs([1, 1, 1]), legs([1, 1, 1]), ts_event=ts_event)
    assert ("outside_session" in found.flags) is outside


def test_fractional_strikes_of_nearly_equal_pain_may_be_taken_for_each_other() -> None:
    chain = snapshot([0.1, 0.2, 0.3], legs([1.0, 0, 0]), legs([0, 0, 1.0]))
    found = facts(chain)
    assert found.rivals == {0.1, 0.2, 0.3}
    assert chain_of(legs([10, 0, 0]), legs([0, 0, 10])).rivals == frozenset()


def test_lots_become_shares_where_the_lot_is_known() -> None:
    # A lot of NIFTY was 50 shares on that day.
    calls = Legs([10, 2.5, 1 / 3], [-1, None, 2], *[NONE] * 5)
    found = chain_of(calls, legs([1, 1, 1]), oi_unit="lots")
    assert (found.oi_unit, found.lot_size) == ("shares", 50)
    assert found.call_oi == pytest.approx(500 + 125 + 50 / 3)
    assert (found.call_oi_change, found.put_oi) == (50, 150)
    assert "fractional_oi" in found.flags


def test_shares_stay_and_tell_their_lot() -> None:
    found = chain_of(ONE, ONE)
    assert (found.oi_unit, found.lot_size, found.call_oi) == ("shares", 50, 3)


def test_a_nearly_whole_number_of_shares_is_whole() -> None:
    found = chain_of(legs([33.33334, 0.0001, 0]), ONE, oi_unit="lots", expiry="2024-01-04")
    assert found.call_oi == 1_666.667 + 0.005
    assert chain_of(legs([33.33999, 0, 0]), ONE, oi_unit="lots").call_oi == 1_667


def test_an_unknown_lot_leaves_lots() -> None:
    found = chain_of(ONE, ONE, oi_unit="lots", product="OTHER")
    assert (found.oi_unit, found.lot_size, found.call_oi) == ("lots", None, 3)


def test_changes_of_open_interest_that_nobody_told() -> None:
    calls = Legs([1, 1, 1], [5, None, -7], *[NONE] * 5)
    found = chain_of(calls, ONE)
    assert (found.call_oi_change, found.put_oi_change) == (-2, None)
    assert dict(found.null_reasons)["put_oi_change"] == "no_oi_change"


def test_resistance_and_support_are_the_strikes_of_most_open_interest() -> None:
    strikes = [100.0, 110.0, 120.0, 130.0, 140.0, 150.0]
    calls, puts = legs([5, 9, 5, 5, 9, 5]), legs([0, None, 3, 0, 0, 0])
    found = facts(snapshot(strikes, calls, puts))
    assert found.resistance == (110.0, 140.0, 100.0, 120.0)
    assert found.support == (120.0,)


@pytest.mark.parametrize(
    ("product", "near"), [("NIFTY", 10), ("BANKNIFTY", 20), ("FINNIFTY", 10), ("OTHER", 10)]
)
def test_ratios_near_the_money(product: str, near: int) -> None:
    strikes = [float(1_000 + 10 * at) for at in range(100)]
    puts = legs([1 if abs(at - 50) <= near else 900 for at in range(100)])
    found = facts(
        snapshot(strikes, legs([2] * 100), puts, product=product, underlying_price=1_501.0)
    )
    assert (found.near_strikes, found.atm_strike) == (near, 1_500.0)
    assert (found.pcr_oi_near, found.pcr_volume_near) == (0.5, 0.5)


def test_ratios_near_the_money_at_the_end_of_a_chain() -> None:
    found = chain_of(legs([1, 1, None]), legs([3, None, None]), underlying_price=90.0)
    assert (found.atm_strike, found.pcr_oi_near) == (100.0, 1.5)


def test_the_near_strikes_may_lack_a_side_that_the_chain_has() -> None:
    strikes = [float(1_000 + 10 * at) for at in range(30)]
    calls = legs([1 if at > 15 else None for at in range(30)])
    found = facts(snapshot(strikes, calls, legs([1] * 30), underlying_price=1_000.0))
    assert (found.pcr_oi, found.pcr_oi_near) == (30 / 14, None)
    assert dict(found.null_reasons)["pcr_oi_near"] == "no_calls"


def test_totals_that_nobody_told() -> None:
    prices = Legs(*[NONE] * 4, [9, 9, 9], NONE, NONE)
    found = chain_of(ONE, prices)
    why = dict(found.null_reasons)
    names = ("put_oi", "put_volume", "pcr_oi", "pcr_volume", "pcr_oi_near", "pcr_volume_near")
    assert [getattr(found, name) for name in names] == [None] * 6
    assert [why[name] for name in names] == ["no_oi", "no_volume"] * 3
    assert (found.call_oi, found.max_pain) == (3, 100)


def test_completeness_is_the_share_of_legs_that_are_there() -> None:
    found = chain_of(legs([1, None, None]), ONE)
    assert (found.missing_legs, found.completeness) == (2, 1 - 2 / 6)
    assert (chain_of(ONE, ONE).completeness, chain_of(ONE, ONE).oldest_leg_ms) == (1, None)


def test_quotes_that_cross_and_underlying_prices_that_differ() -> None:
    crossed = Legs([1, 1, 1], *[NONE] * 4, [None, 2, 1], [1, 1.5, None])
    found = chain_of(ONE, crossed, mixed_underlying=True)
    assert found.flags == ("crossed_quote", "mixed_underlying")


def test_a_long_chain_is_the_same_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    strikes = [float(100 + at) for at in range(60)]
    chain = snapshot(strikes, legs([float(at % 7) for at in range(60)]), legs([3.0] * 60))
    whole = facts(chain)
    monkeypatch.setattr("optionstream.streams.verify.chains.math._CELLS", 100)
    assert facts(chain) == whole


def test_sums_may_differ_by_rounding_only() -> None:
    assert figures_agree("call_oi", 0.1 + 0.2, 0.3)
    assert not figures_agree("rate", 0.1 + 0.2, 0.3)
    assert not figures_agree("call_oi", 0.3, 0.3000001)
    assert not figures_agree("call_oi", None, 0.0)
    assert not figures_agree("call_oi", 0.0, None)
    assert figures_agree("call_oi", None, None)


STRIKES = [100.0, 110.0, 120.0]


def some(number: int = 0, **changed: Any) -> ChainSnapshot:
    content = {"strikes": STRIKES, "calls": legs([float(number), 1, 1]), "puts": ONE}
    return snapshot(**{**content, **changed})


def test_the_same_content_again_is_a_duplicate_whoever_sent_it() -> None:
    log = Log()
    log.add(some())
    log.add(some(source="other", ts_recv=OPEN + 5))
    log.add(some(ts_event=OPEN + 1))
    log.add(some(expiry="2024-01-11"))
    log.add(some(1))
    assert fates(log) == (4, 1, {})


def test_content_is_remembered_for_1024_snapshots_of_its_expiry() -> None:
    log = Log()
    for number in range(1_024):
        log.add(some(number))
    log.add(some(0))
    log.add(some(1_024))  # forgets 0
    log.add(some(0))
    log.add(some(2))
    assert fates(log) == (1_026, 2, {})


def test_numbers_are_remembered_for_the_two_labels_last_begun() -> None:
    log = Log()
    for label in "abac":  # "a" is known still when "c" begins, and is forgotten then
        log.add(some(session=label, seq=1))
    for label in "ba":
        log.add(some(session=label, seq=1))
    assert fates(log) == (4, 2, {})


def test_a_number_is_of_its_source_and_label() -> None:
    log = Log()
    log.add(some(session="a", seq=1))
    log.add(some(1, session="a", seq=1))
    log.add(some(session="a", seq=1, source="other"))
    log.add(some(session="b", seq=1))
    log.add(some())
    assert fates(log) == (4, 1, {})


def test_content_accepted_twice_leaves_both_tellings() -> None:
    log = Log()
    log.add(some(seq=1))
    log.add(some(seq=2))
    log.add(some(seq=3, ts_recv=OPEN + 9))
    ((told),) = log.expectation().chains.values()
    assert [one.ts_recv for one in told] == [OPEN, OPEN + 9]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"strikes": [110.0, 100.0, 120.0]}, rejects.INVALID),
        ({"strikes": [100.0]}, rejects.INVALID),
        ({"underlying_price": 0.0}, rejects.INVALID),
        ({"strikes": []}, rejects.EMPTY_CHAIN),
        ({"calls": legs(NONE), "puts": legs(NONE)}, rejects.EMPTY_CHAIN),
        ({"ts_event": 0}, rejects.BAD_TIME),
        ({"ts_event": 4_102_444_800_000}, rejects.BAD_TIME),
        ({"ts_event": 4_070_908_800_000}, rejects.NO_CALENDAR),
    ],
)
def test_each_reason_to_refuse_a_chain(changed: dict[str, Any], reason: str) -> None:
    log = Log()
    log.add(some(**changed))
    assert fates(log) == (0, 0, {reason: 1})


def test_the_key_of_a_chain_has_its_expiry() -> None:
    log = Log()
    log.add(some(), key=b"NIFTY")
    log.add(some(), partition=0)
    assert fates(log) == (0, 0, {rejects.KEY_MISMATCH: 1, rejects.FOREIGN_PARTITION: 1})


def test_the_future_is_refused_in_live_and_before_a_bad_time() -> None:
    log = Log()
    log.add(some(ts_recv=OPEN - 60_001))
    log.add(some(ts_event=4_102_444_800_000, ts_recv=OPEN))
    assert fates(log, live=True) == (0, 0, {rejects.FUTURE_EVENT: 2})
    assert fates(log) == (1, 0, {rejects.BAD_TIME: 1})
