"""Fates and figures of chains, by hand: docs/semantics.md, Chains."""

from __future__ import annotations

from typing import Any

import pytest

from optionstream.deploy.verify.chain_facts import ChainFacts, close, recomputed
from optionstream.schemas import rejects, topics
from optionstream.schemas.events import ChainSnapshot, Legs
from tests.unit.verify.world import DAY, MINUTE, OPEN, Log, legs, rules, snapshot

FNO_CLOSE = OPEN + 375 * MINUTE
NONE: list[float | None] = [None, None, None]


def facts(chain: ChainSnapshot) -> ChainFacts:
    return recomputed(chain, rules())


def chain_of(calls: Legs, puts: Legs, **changed: Any) -> ChainFacts:
    return facts(snapshot([100.0, 110.0, 120.0], calls, puts, **changed))


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
    assert (found.flags, found.null_reasons, found.missing_legs) == ((), (), 0)


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
    assert dict(found.null_reasons) == dict.fromkeys(
        ("pcr_oi", "pcr_volume", "max_pain"), "no_calls"
    )
    assert (found.missing_legs, found.flags) == (4, ("missing_legs",))


def test_a_chain_without_puts() -> None:
    found = chain_of(legs([1, 1, 1]), legs(NONE))
    assert dict(found.null_reasons) == dict.fromkeys(
        ("pcr_oi", "pcr_volume", "max_pain"), "no_puts"
    )


def test_calls_without_interest_or_volume() -> None:
    found = chain_of(legs([0, 0, 0]), legs([1, 1, 1]))
    assert dict(found.null_reasons) == {"pcr_oi": "zero_call_oi", "pcr_volume": "zero_call_volume"}
    assert found.max_pain == 120


def test_no_open_interest_at_all_has_no_max_pain() -> None:
    prices = Legs(NONE, NONE, [1, 1, 1], NONE, [9, 9, 9], NONE, NONE)
    found = chain_of(prices, prices)
    assert dict(found.null_reasons) == {"pcr_oi": "zero_call_oi", "max_pain": "no_oi"}
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


def test_a_long_chain_is_the_same_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    strikes = [float(100 + at) for at in range(60)]
    chain = snapshot(strikes, legs([float(at % 7) for at in range(60)]), legs([3.0] * 60))
    whole = facts(chain)
    monkeypatch.setattr("optionstream.deploy.verify.chain_math._CELLS", 100)
    assert facts(chain) == whole


def test_sums_may_differ_by_rounding_only() -> None:
    assert close(0.1 + 0.2, 0.3)
    assert not close(0.3, 0.3000001)
    assert not close(None, 0.0)
    assert close(None, None)


ONE = legs([1, 1, 1])
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
