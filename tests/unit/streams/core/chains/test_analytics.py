"""What follows from the prices and the open interest of one snapshot."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from optionstream.schemas.events import ChainSnapshot
from optionstream.streams.core.rules import Rules
from tests.unit.streams.core.chains.building import (
    FORWARD,
    NOON,
    RULES,
    SIGMA,
    STRIKES,
    analysis,
    at,
    priced_chain,
)

LOT = 65
ATM = STRIKES.index(26_200.0)


def with_oi(calls: list[float], puts: list[float]) -> ChainSnapshot:
    chain = priced_chain()
    return replace(chain, calls=replace(chain.calls, oi=calls), puts=replace(chain.puts, oi=puts))


def test_every_volatility_and_the_forward_are_those_the_chain_was_priced_with() -> None:
    told = analysis(priced_chain())
    assert told.forward == pytest.approx(FORWARD, rel=1e-12)
    for greeks in (told.call_greeks, told.put_greeks):
        assert greeks.iv == pytest.approx([SIGMA] * len(STRIKES), rel=1e-9)
        assert greeks.reason == [None] * len(STRIKES)
    assert (told.legs_with_iv, told.iv_null_reasons) == (2 * len(STRIKES), {})
    assert told.atm_iv == pytest.approx(SIGMA, rel=1e-9)
    assert (told.iv_mode, told.rate) == ("black76", 0.0)
    assert told.null_reasons == {}


def test_the_strike_at_the_money_is_the_nearest_to_the_forward_and_carries_the_straddle() -> None:
    chain = priced_chain()
    told = analysis(chain)
    assert told.atm_strike == 26_200.0
    assert told.straddle == (chain.calls.last[ATM] or 0) + (chain.puts.last[ATM] or 0)


def test_of_two_strikes_as_near_the_lower_is_at_the_money() -> None:
    chain = priced_chain()
    bare = replace(
        chain,
        underlying_price=26_225.0,
        calls=replace(chain.calls, last=[None] * len(STRIKES)),
    )
    told = analysis(bare)
    assert told.forward is None
    assert told.null_reasons["forward"] == "no_parity_pair"
    assert told.atm_strike == 26_200.0
    assert told.null_reasons["atm_iv"] == "no_iv"
    assert told.null_reasons["straddle"] == "no_price"


def test_lots_become_shares_where_the_lot_size_is_known() -> None:
    told = analysis(priced_chain())
    assert (told.oi_unit, told.lot_size) == ("shares", LOT)
    assert told.calls.oi == [100.0 * LOT] * len(STRIKES)
    assert told.call_oi == 100.0 * LOT * len(STRIKES)
    assert told.put_oi_change == LOT * len(STRIKES)


def test_lots_stay_lots_where_the_lot_size_is_not_known() -> None:
    told = analysis(priced_chain(product="RELIANCE"))
    assert (told.oi_unit, told.lot_size) == ("lots", None)
    assert told.null_reasons["lot_size"] == "lot_size_unknown"
    assert told.calls.oi == [100.0] * len(STRIKES)
    assert (told.gex_total, told.null_reasons["gex_total"]) == (None, "oi_in_lots")
    assert told.call_greeks.gex == [None] * len(STRIKES)


def test_lots_in_thirds_become_whole_shares_and_are_flagged() -> None:
    thirds = [4.333333333333333] * len(STRIKES)
    chain = replace(
        with_oi(thirds, thirds), expiry="2025-12-30", ts_event=at("2025-10-27 12:00:00")
    )
    told = analysis(chain)
    assert told.lot_size == 75
    assert told.calls.oi == [325.0] * len(STRIKES)
    assert "fractional_oi" in told.flags


def test_gamma_exposure_is_rupees_of_delta_for_one_percent_with_puts_negative() -> None:
    told = analysis(priced_chain())
    scale = (told.forward or 0) ** 2 * 0.01
    for greeks, legs, sign in (
        (told.call_greeks, told.calls, 1),
        (told.put_greeks, told.puts, -1),
    ):
        expected = [
            sign * (gamma or 0) * (oi or 0) * scale
            for gamma, oi in zip(greeks.gamma, legs.oi, strict=True)
        ]
        assert greeks.gex == pytest.approx(expected, rel=1e-12)
    both = [*told.call_greeks.gex, *told.put_greeks.gex]
    assert told.gex_total == pytest.approx(sum(value or 0 for value in both), abs=1.0)


def test_the_strikes_of_most_interest_come_greatest_first_and_the_lower_of_equals() -> None:
    oi = [0.0] * len(STRIKES)
    calls, puts = [*oi], [*oi]
    calls[3], calls[9], calls[5], calls[1], calls[0] = 7.0, 9.0, 7.0, 1.0, 0.5
    puts[2] = 4.0
    told = analysis(with_oi(calls, puts))
    assert told.resistance == [STRIKES[9], STRIKES[3], STRIKES[5], STRIKES[1]]
    assert told.support == [STRIKES[2]]


def test_ratios_near_the_money_leave_the_far_strikes_out() -> None:
    width = 41
    strikes = [25_000.0 + 50 * number for number in range(2 * width)]
    money = strikes.index(26_200.0)
    calls = [1.0 if abs(at - money) <= 10 else 1_000.0 for at in range(len(strikes))]
    puts = [3.0 if abs(at - money) <= 10 else 10.0 for at in range(len(strikes))]
    empty: list[float | None] = [None] * len(strikes)
    chain = priced_chain()
    bare = dict.fromkeys(("oi_change", "volume", "iv", "last", "bid", "ask"), empty)
    wide = replace(
        chain,
        strikes=strikes,
        calls=type(chain.calls)(oi=[*calls], **bare),
        puts=type(chain.puts)(oi=[*puts], **bare),
    )
    told = analysis(wide)
    assert (told.near_strikes, told.pcr_oi_near) == (10, 3.0)
    assert told.pcr_volume_near is None
    assert told.null_reasons["pcr_volume_near"] == "no_volume"


def test_quotes_beat_the_last_price_unless_they_are_crossed() -> None:
    chain = priced_chain()
    wrong = [1.0] * len(STRIKES)
    price = chain.calls.last
    quoted = replace(chain.calls, last=wrong, bid=price, ask=price)
    told = analysis(replace(chain, calls=quoted))
    assert told.call_greeks.iv == pytest.approx([SIGMA] * len(STRIKES), rel=1e-9)
    crossed = replace(chain.calls, bid=[(p or 0) + 1 for p in price], ask=price)
    told = analysis(replace(chain, calls=crossed))
    assert told.call_greeks.iv == pytest.approx([SIGMA] * len(STRIKES), rel=1e-9)
    assert told.flags == ["crossed_quote"]


def test_a_price_below_intrinsic_value_has_no_volatility_but_a_reason_and_a_flag() -> None:
    chain = priced_chain()
    last = [*chain.calls.last]
    last[0] = FORWARD - STRIKES[0] - 5.0
    told = analysis(replace(chain, calls=replace(chain.calls, last=last)))
    assert told.call_greeks.iv[0] is None
    assert told.call_greeks.reason[0] == "below_intrinsic"
    assert (told.call_greeks.delta[0], told.call_greeks.gex[0]) == (None, None)
    assert told.iv_null_reasons == {"below_intrinsic": 1}
    assert told.flags == ["below_intrinsic"]


def test_a_leg_without_a_price_and_a_missing_leg_are_told_apart() -> None:
    chain = priced_chain()
    columns = {
        name: [None, *getattr(chain.puts, name)[1:]] for name in chain.puts.__struct_fields__
    }
    columns["last"][1] = None
    told = analysis(replace(chain, puts=type(chain.puts)(**columns)))
    assert told.put_greeks.reason[:2] == [None, "no_price"]
    assert told.iv_null_reasons == {"no_price": 1}
    assert told.missing_legs == 1
    assert told.completeness == pytest.approx(1 - 1 / (2 * len(STRIKES)))
    assert told.flags == ["missing_legs"]


def test_what_no_leg_tells_is_null_and_not_0() -> None:
    chain = priced_chain()
    untold: list[float | None] = [None] * len(STRIKES)
    silent = replace(
        chain,
        calls=replace(chain.calls, oi=untold, volume=untold),
        puts=replace(chain.puts, volume=untold),
    )
    told = analysis(silent)
    assert (told.call_oi, told.put_oi, told.call_volume, told.put_volume) == (
        None,
        100.0 * LOT * len(STRIKES),
        None,
        None,
    )
    assert (told.pcr_oi, told.pcr_volume) == (None, None)
    assert told.null_reasons["pcr_oi"] == told.null_reasons["call_oi"] == "no_oi"
    assert told.null_reasons["pcr_volume"] == "no_volume"
    assert told.gex_total is not None
    bare = replace(silent, puts=replace(silent.puts, oi=untold))
    assert analysis(bare).null_reasons["gex_total"] == "no_oi"


def test_after_the_expiry_there_is_no_time_and_no_volatility() -> None:
    told = analysis(replace(priced_chain(), ts_event=at("2026-01-13 15:30:01")))
    assert (told.years, told.null_reasons["years"]) == (None, "expired")
    assert told.iv_null_reasons == {"expired": 2 * len(STRIKES)}
    assert told.forward == pytest.approx(FORWARD)


def test_the_exchanges_mode_takes_spot_ten_percent_and_whole_days() -> None:
    nse = Rules(RULES.calendar, iv_mode="nse")
    told = analysis(priced_chain(), nse)
    assert (told.iv_mode, told.rate, told.years) == ("nse", 0.10, 7 / 365)
    known = [iv for iv in told.call_greeks.iv if iv is not None]
    assert known
    assert not np.allclose(known, SIGMA, rtol=1e-3)
    on_the_day = analysis(replace(priced_chain(), ts_event=at("2026-01-13 12:00:00")), nse)
    assert on_the_day.iv_null_reasons == {"expiry_day": 2 * len(STRIKES)}


def test_the_same_snapshot_gives_the_same_record() -> None:
    assert analysis(priced_chain()) == analysis(priced_chain(NOON))
