"""The smile of one expiry: which legs count, its figures, and why there is none."""

from __future__ import annotations

from itertools import pairwise
from math import log, sqrt
from statistics import NormalDist

import msgspec
import pytest

from optionstream.schemas.derived import ChainAnalytics, Greeks, Smile
from optionstream.streams.core.surface.smile import smile_of
from tests.unit.streams.core.chains.building import at
from tests.unit.streams.core.surface.building import FORWARD, NEAR, analysed, quoted


def smile(chain: ChainAnalytics) -> Smile:
    found = smile_of(chain)
    assert isinstance(found, Smile)
    return found


def skewed(strike: float) -> float:
    """Dearer below the forward, as index options are."""
    k = log(strike / FORWARD)
    return 0.125 - 0.6 * k + 3.0 * k * k


def test_flat_volatilities_are_a_flat_smile() -> None:
    told = smile(analysed(quoted()))
    assert told.forward == pytest.approx(FORWARD)
    assert told.atm_iv == pytest.approx(0.125)
    assert told.risk_reversal_25 == pytest.approx(0, abs=1e-9)
    assert told.butterfly_25 == pytest.approx(0, abs=1e-9)
    assert told.iv == pytest.approx([0.125] * len(told.iv))
    assert told.log_moneyness == pytest.approx([log(one / FORWARD) for one in told.strikes])
    assert all(low < high for low, high in pairwise(told.strikes))
    assert told.null_reasons == {}


def test_the_figures_of_a_skew_are_those_of_its_formula() -> None:
    told = smile(analysed(quoted(volatility=skewed)))
    assert told.atm_iv == pytest.approx(0.125, abs=1e-4)
    normal = NormalDist()

    def at_delta(sign: float) -> float:
        """The volatility whose delta is a quarter: found by trying."""
        return min(
            (skewed(strike / 10) for strike in range(240_000, 290_000, 10)),
            key=lambda iv: abs(_delta_of(iv, sign, told.years, normal) - 0.25),
        )

    call, put = at_delta(1.0), at_delta(-1.0)
    assert put > call
    assert told.risk_reversal_25 == pytest.approx(call - put, abs=2e-4)
    assert told.butterfly_25 == pytest.approx((call + put) / 2 - 0.125, abs=2e-4)


def _delta_of(iv: float, sign: float, years: float, normal: NormalDist) -> float:
    """Of the strike with that volatility, on the side of ``sign``."""
    low, high = (FORWARD, 29_000.0) if sign > 0 else (24_000.0, FORWARD)
    for _ in range(60):  # the skew falls as strikes rise
        middle = (low + high) / 2
        low, high = (middle, high) if skewed(middle) > iv else (low, middle)
    d1 = log(FORWARD / low) / (iv * sqrt(years)) + iv * sqrt(years) / 2
    return normal.cdf(sign * d1)


def test_only_legs_out_of_the_money_count() -> None:
    chain = analysed(quoted(volatility=skewed))
    assert chain.forward is not None
    is_above = [strike > chain.forward for strike in chain.strikes]
    calls = _spoiled(chain.call_greeks, [not above for above in is_above])
    puts = _spoiled(chain.put_greeks, is_above)
    spoiled = msgspec.structs.replace(chain, call_greeks=calls, put_greeks=puts)
    assert smile(spoiled) == smile(chain)


def _spoiled(greeks: Greeks, where: list[bool]) -> Greeks:
    """With nonsense at the legs ``where``."""
    iv = [9.0 if wrong else iv for iv, wrong in zip(greeks.iv, where, strict=True)]
    return msgspec.structs.replace(greeks, iv=iv)


def test_at_the_forward_call_and_put_are_one_point() -> None:
    chain = analysed(quoted(strikes=[26_000.0, FORWARD, 26_400.0]))
    there = msgspec.structs.replace(chain, forward=FORWARD)
    calls = msgspec.structs.replace(there.call_greeks, iv=[None, 0.10, 0.12])
    puts = msgspec.structs.replace(there.put_greeks, iv=[0.13, 0.14, None])
    both = smile(msgspec.structs.replace(there, call_greeks=calls, put_greeks=puts))
    assert both.strikes == [26_000.0, FORWARD, 26_400.0]
    assert both.iv == pytest.approx([0.13, 0.12, 0.12])
    assert both.atm_iv == pytest.approx(0.12)
    lone = msgspec.structs.replace(calls, iv=[None, None, 0.12], delta=[None, None, 0.3])
    put = smile(msgspec.structs.replace(there, call_greeks=lone, put_greeks=puts))
    assert put.iv == [0.13, 0.14, 0.12]


def test_a_figure_without_strikes_around_it_is_null_with_a_reason() -> None:
    above = smile(analysed(quoted(strikes=[26_300.0, 26_400.0, 27_900.0])))
    assert above.atm_iv is None
    assert above.risk_reversal_25 is above.butterfly_25 is None
    assert above.null_reasons == {
        "atm_iv": "outside_strikes",
        "risk_reversal_25": "no_25_delta",
        "butterfly_25": "no_25_delta",
    }
    narrow = smile(analysed(quoted(strikes=[26_150.0, 26_200.0, 26_250.0])))
    assert narrow.atm_iv == pytest.approx(0.125)
    assert set(narrow.null_reasons) == {"risk_reversal_25", "butterfly_25"}


def test_an_expiry_without_a_smile_says_why() -> None:
    closing = at(f"{NEAR} 15:30:00")
    assert smile_of(analysed(quoted(ts=closing))) == "expired"
    assert smile_of(analysed(quoted(ts=closing + 1))) == "expired"
    assert smile_of(analysed(quoted(ts=closing - 60_000), "nse")) == "expiry_day"
    reasons = {"years": "no_expiry"}
    unknown = msgspec.structs.replace(analysed(quoted()), years=None, null_reasons=reasons)
    assert smile_of(unknown) == "no_expiry"
    lone = quoted(strikes=[26_200.0])
    priced = msgspec.structs.replace(lone, puts=msgspec.structs.replace(lone.puts, last=[None]))
    assert smile_of(analysed(priced)) == "no_parity_pair"
    chain = analysed(quoted(strikes=[26_200.0, 26_300.0]))
    none = msgspec.structs.replace(chain.call_greeks, iv=[None, None])
    blank = msgspec.structs.replace(chain, call_greeks=none, put_greeks=none)
    assert smile_of(blank) == "no_iv"
