"""Quotes of one expiry: which count, and what the chains assembled from them hold."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, nan

import pytest

from optionstream.schemas.events import (
    MAX_STRIKES,
    OptionQuoteFrame,
)
from optionstream.streams.core.counts import Counts
from optionstream.streams.core.quotes.assembly import ExpiryQuotes, Outcome
from optionstream.streams.core.quotes.book import Assembled
from optionstream.streams.core.rules import MAX_WAITING
from tests.unit.streams.core.quotes.quoting import (
    CLOSE,
    DAY_MS,
    EXPIRY,
    Told,
    begun,
    ended,
    expiry_quotes,
    frame,
    leg,
    told,
)
from tests.unit.streams.core.ticks.helpers import AFTER, LATENESS_MS, NEXT_OPEN, OPEN


def applied(quotes: ExpiryQuotes, *frames: OptionQuoteFrame) -> list[Assembled]:
    """The chains of the frames, and of the end of the session."""
    chains = [
        one for at, each in enumerate(frames) for one in quotes.apply_frame(each, at + 1).chains
    ]
    return chains + ended(quotes)


def moments(chains: Iterable[Assembled]) -> list[int]:
    """The times of the chains, from the open."""
    return [one.chain.ts_event - OPEN for one in chains]


# -- single quotes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quote", "reason"),
    [
        (told(-OPEN, 1), "bad_time"),
        (told(4_102_444_800_000 - OPEN, 1), "bad_time"),
        (told(0, 1, 0.0), "bad_quote"),
        (told(0, 1, -50.0), "bad_quote"),
        (told(0, 1, inf), "bad_quote"),
        (told(0, 1, nan), "bad_quote"),
        (told(0, 1, oi=-1.0), "bad_quote"),
        (told(0, 1, volume=-1.0), "bad_quote"),
        (told(0, 1, last=-0.05), "bad_quote"),
        (told(0, 1, bid=-0.05), "bad_quote"),
        (told(0, 1, ask=-0.05), "bad_quote"),
        (told(0, 1, ask=inf), "bad_quote"),
        (told(0, 1, iv=nan), "bad_quote"),
        (told(0, 1, oi_change=-inf), "bad_quote"),
        (told(0, 1, underlying_price=0.0), "bad_quote"),
        (told(0, 1, underlying_price=inf), "bad_quote"),
        (told(1_001, 1), "future_event"),
        (told(-40 * 365 * DAY_MS, 1), "bad_time"),
        (told(-24 * 365 * DAY_MS, 1), "no_calendar"),
        (told(-24 * 365 * DAY_MS, 1, strike=0.0), "bad_quote"),
    ],
)
def test_a_quote_at_fault_is_refused_for_the_first_reason_and_others_of_its_frame_are_not(
    quote: Told, reason: str
) -> None:
    quotes = expiry_quotes(future_limit_ms=1_000)
    good = [told(0, seq, bid=1.0, oi_change=-5.0, iv=-1.0, ask=0.0) for seq in (101, 102, 103)]
    outcome = quotes.apply_frame(frame(good[0], good[1], quote, good[2], ts_recv=OPEN), 7)
    assert outcome.refused == {reason: [2]}
    assert quotes.counts == Counts(accepted=3, rejects={reason: 1})


@pytest.mark.parametrize(
    ("ts", "phase"),
    [
        (-1, "pre_open"),
        (-3_600_000, "closed"),
        (CLOSE - OPEN, "after_close"),
        (AFTER - OPEN, "after_close"),
        (4 * DAY_MS, "closed"),
    ],
)
def test_a_quote_outside_every_session_is_counted_and_moves_nothing(ts: int, phase: str) -> None:
    quotes = begun()
    assert quotes.apply_frame(frame(told(ts, 1)), 1) == Outcome()
    assert (quotes.counts.outside_session, quotes.counts.outside) == (1, {phase: 1})
    assert quotes.watermark.reached_ms == OPEN - LATENESS_MS


def test_the_same_number_of_the_same_feed_is_a_duplicate_whatever_it_tells() -> None:
    quotes = begun()
    quotes.apply_frame(frame(told(10, 1, bid=1.0), told(20, 1, bid=2.0)), 1)
    quotes.apply_frame(frame(told(20, 1, bid=3.0), session="other"), 2)
    quotes.apply_frame(frame(told(20, 1, bid=4.0), source="other"), 3)
    quotes.apply_frame(frame(told(20, 1, 27_000.0)), 4)
    assert (quotes.counts.accepted, quotes.counts.duplicates) == (5, 2)
    assert [quote.figures for quote in quotes.waiting[2:]] == [
        (None, None, None, None, None, bid, None) for bid in (1.0, 3.0, 4.0)
    ]


def test_a_chain_takes_no_more_strikes_than_a_snapshot_may_have() -> None:
    quotes = begun()
    strikes = [told(1, seq, float(seq)) for seq in range(1, MAX_STRIKES)]
    quotes.apply_frame(frame(*strikes), 1)
    one_more = told(2, 90_000, 90_000.0)
    assert quotes.apply_frame(frame(one_more), 2).refused == {"bad_quote": [0]}
    assert quotes.apply_frame(frame(one_more, told(3, 90_001, 5.0)), 3).refused == {
        "bad_quote": [0]
    }
    assert quotes.counts.accepted == MAX_STRIKES + 2
    (chain,) = ended(quotes)
    assert len(chain.chain.strikes) == MAX_STRIKES


# -- sessions -------------------------------------------------------------------------------------


def test_a_session_begins_with_a_second_quote_of_another_identity() -> None:
    quotes = expiry_quotes()
    quotes.apply_frame(frame(told(5, 1)), 0)
    assert (quotes.session, quotes.counts.held) == (None, 1)
    quotes.apply_frame(frame(told(6, 1)), 1)
    assert (quotes.session, quotes.counts.duplicates) == (None, 1)
    quotes.apply_frame(frame(told(4, 1), session="another"), 2)
    assert quotes.session is not None
    assert quotes.session.open_ms == OPEN
    assert quotes.counts == Counts(accepted=2, duplicates=1)


def test_a_later_session_ends_the_current_one_with_a_last_chain_at_its_close() -> None:
    quotes = begun()
    quotes.apply_frame(frame(told(21_000_300, 1, bid=1.0), told(21_000_900, 2, ask=2.0)), 1)
    (last,) = ended(quotes)
    assert last.chain.ts_event == CLOSE
    assert leg(last.chain) == {"bid": 1.0, "ask": 2.0}
    assert quotes.session is not None
    assert quotes.session.open_ms == NEXT_OPEN
    (fresh,) = quotes.apply_frame(frame(told(DAY_MS + 3_000, 1, 30_000.0)), 9).chains
    assert fresh.chain.strikes == [26_000.0]
    assert leg(fresh.chain) == {}


def test_quotes_of_earlier_sessions_are_too_late_and_held_ones_drop_out() -> None:
    quotes = begun()
    for day in (1, 2):
        quotes.apply_frame(frame(told(day * DAY_MS, 70 + day)), day)
    outcome = quotes.apply_frame(frame(told(2 * DAY_MS, 80)), 3)
    assert [(quote.offset, quote.position, quote.seq) for quote in outcome.late_held] == [
        (1, 0, 71)
    ]
    assert quotes.apply_frame(frame(told(5, 81), told(DAY_MS, 82)), 4).refused == {
        "too_late": [0, 1]
    }
    assert quotes.counts == Counts(accepted=4, rejects={"too_late": 3})


def test_only_so_many_sessions_wait() -> None:
    quotes = begun()
    wednesdays = range(1, 7 * (MAX_WAITING + 1), 7)
    weeks = [told(day * DAY_MS, 100 + day) for day in wednesdays]
    outcome = quotes.apply_frame(frame(*weeks), 1)
    assert outcome.refused == {"unconfirmed_session": [MAX_WAITING]}
    assert quotes.counts.held == MAX_WAITING


# -- boundaries -----------------------------------------------------------------------------------


def test_a_chain_goes_out_when_the_watermark_reaches_a_boundary_with_new_quotes() -> None:
    quotes = begun()
    assert not quotes.apply_frame(frame(told(2_999, 1)), 1).chains
    assert moments(quotes.apply_frame(frame(told(3_000, 2)), 2).chains) == [1_000]
    # 2,999 belongs to the boundary 3,000, 3,000 to the next; none goes out for those without.
    assert moments(quotes.apply_frame(frame(told(60_000, 3)), 3).chains) == [3_000, 4_000]
    assert moments(ended(quotes)) == [CLOSE - OPEN]


def test_the_close_is_a_boundary_though_the_cadence_does_not_meet_it() -> None:
    quotes = expiry_quotes(cadence_ms=10**9)
    close = CLOSE - OPEN
    quotes.apply_frame(frame(told(0, 1), told(close - 1, 2)), 0)
    assert moments(ended(quotes)) == [close]


def test_without_a_cadence_each_time_that_has_a_quote_makes_a_chain_one_ms_later() -> None:
    quotes = begun(cadence_ms=0)
    frames = [frame(told(700, 1), told(20, 3), told(700, 2)), frame(told(9_000, 4))]
    assert moments(applied(quotes, *frames)) == [1, 21, 701, CLOSE - OPEN]


def test_a_quote_that_missed_its_boundary_takes_part_in_the_next_one() -> None:
    quotes = begun()
    chains = applied(
        quotes,
        frame(told(10_000, 1)),
        frame(told(3_500, 2, bid=5.0), ts_recv=OPEN + 99_999),
        frame(told(11_000, 3)),
    )
    assert moments(chains) == [1_000, 9_000, CLOSE - OPEN]
    assert leg(chains[1].chain) == {"bid": 5.0}
    assert [one.chain.ts_recv - OPEN for one in chains] == [0, 99_999, 99_999]


def test_without_a_cadence_a_late_quote_waits_for_one_that_is_not() -> None:
    quotes = begun(cadence_ms=0)
    quotes.apply_frame(frame(told(10_000, 1)), 1)
    assert not quotes.apply_frame(frame(told(3_500, 2, bid=5.0)), 2).chains
    assert not quotes.apply_frame(frame(told(11_000, 3)), 3).chains
    (chain,) = quotes.apply_frame(frame(told(12_500, 4)), 4).chains
    assert moments([chain]) == [10_001]
    assert leg(chain.chain) == {"bid": 5.0}


def test_late_quotes_with_nothing_after_them_come_with_the_close() -> None:
    quotes = begun(cadence_ms=0)
    quotes.apply_frame(frame(told(10_000, 1)), 1)
    quotes.apply_frame(frame(told(3_500, 2, bid=5.0)), 2)
    (chain,) = ended(quotes)
    assert chain.chain.ts_event == CLOSE
    assert leg(chain.chain) == {"bid": 5.0}


# -- legs -----------------------------------------------------------------------------------------


def test_a_chain_has_every_strike_with_a_quote_and_what_each_leg_was_told_last() -> None:
    quotes = begun()
    (chain,) = applied(
        quotes,
        frame(
            told(10, 1, 26_000.0, "CE", oi=650.0, oi_change=-65.0, volume=10.0, iv=12.5, last=1.0),
            told(20, 2, 26_000.0, "CE", bid=2.0, ask=3.0, last=2.5),
            told(15, 3, 25_500.0, "PE", bid=7.0),
            told(30, 4, 26_000.0, "CE", volume=11.0),
        ),
    )
    assert chain.chain.strikes == [25_000.0, 25_500.0, 26_000.0]
    assert leg(chain.chain, 26_000.0, "CE") == {
        "oi": 650.0,
        "oi_change": -65.0,
        "volume": 11.0,
        "iv": 12.5,
        "last": 2.5,
        "bid": 2.0,
        "ask": 3.0,
    }
    assert leg(chain.chain, 25_500.0, "PE") == {"bid": 7.0}
    assert leg(chain.chain, 25_500.0, "CE") == leg(chain.chain, 26_000.0, "PE") == {}


@pytest.mark.parametrize(
    ("late", "bid"),
    [
        (told(4_000, 5, bid=9.0, ask=3.0), 2.0),
        (told(5_000, 5, bid=9.0, ask=3.0), 2.0),
        (told(5_000, 11, bid=9.0, ask=3.0), 9.0),
        (told(5_001, 5, bid=9.0, ask=3.0), 9.0),
    ],
    ids=["earlier", "lower number", "higher number", "later"],
)
def test_a_figure_is_that_of_the_latest_time_and_number_whenever_it_came(
    late: Told, bid: float
) -> None:
    quotes = begun()
    quotes.apply_frame(frame(told(5_000, 10, bid=2.0), told(8_000, 12, 25_000.0)), 1)
    (chain,) = applied(quotes, frame(late, source="other"))
    assert leg(chain.chain) == {"bid": bid, "ask": 3.0}
    assert chain.chain.source == "s"


def test_of_equal_times_and_numbers_the_later_in_the_log_counts() -> None:
    quotes = begun()
    frames = [frame(told(10, 1, bid=float(n)), source=f"s{n}") for n in (3, 1, 2)]
    (chain,) = applied(quotes, *frames)
    assert leg(chain.chain) == {"bid": 2.0}
    assert chain.chain.source == "s2"


def test_a_price_of_0_takes_the_price_away_and_open_interest_of_0_is_a_figure() -> None:
    quotes = begun()
    (chain,) = applied(
        quotes,
        frame(
            told(10, 1, last=1.0, bid=1.0, ask=1.0, oi=5.0, volume=5.0),
            told(20, 2, last=0.0, bid=0.0, ask=0.0, oi=0.0, volume=0.0),
        ),
    )
    assert leg(chain.chain) == {"oi": 0.0, "volume": 0.0}


def test_open_interest_in_another_unit_than_the_newest_quote_s_is_left_out() -> None:
    quotes = begun()
    chains = applied(
        quotes,
        frame(told(10, 1, oi=65.0, oi_change=1.0, volume=3.0), told(11, 2, 26_100.0, oi=2.0)),
        frame(told(1_500, 3, 26_100.0, oi=1.0), oi_unit="lots", source="t"),
        frame(told(2_500, 4, 26_200.0)),
        frame(told(9_000, 5, 25_000.0), oi_unit="lots"),
    )
    assert moments(chains) == [1_000, 2_000, 3_000, CLOSE - OPEN]
    told_oi = [[leg(one.chain, s).get("oi") for s in (26_000.0, 26_100.0)] for one in chains]
    assert told_oi == [[65.0, 2.0], [None, 1.0], [65.0, None], [None, 1.0]]
    assert [one.chain.oi_unit for one in chains] == ["shares", "lots", "shares", "lots"]
    assert [one.chain.source for one in chains] == ["s", "t", "s", "s"]
    assert leg(chains[1].chain) == {"volume": 3.0}


def test_the_underlying_price_is_the_newest_told_and_the_age_that_of_the_oldest_leg() -> None:
    quotes = begun()
    chains = applied(
        quotes,
        frame(
            told(100, 1, 25_000.0, "CE", underlying_price=26_010.0),
            told(300, 2, 25_000.0, "PE"),
            told(200, 3, 25_000.0, "PE", underlying_price=26_020.0),
        ),
        frame(told(5_500, 4, 25_000.0, "PE")),
        frame(told(8_000, 5, 25_000.0, "CE")),
    )
    assert [one.chain.underlying_price for one in chains] == [26_020.0] * 3
    assert moments(chains) == [1_000, 6_000, CLOSE - OPEN]
    assert [one.oldest_leg_ms for one in chains] == [900, 5_900, CLOSE - OPEN - 5_500]


def test_an_assembled_chain_names_no_capture_and_no_number() -> None:
    (one,) = applied(begun(), frame(told(1, 1, bid=1.0)))
    chain = one.chain
    assert (chain.product, chain.expiry, chain.source) == ("NIFTY", EXPIRY, "s")
    assert (chain.session, chain.seq, chain.capture_id) == ("", None, "")
    assert (chain.expiries_in_capture, chain.mixed_underlying) == (1, False)
    assert chain.underlying_price is None
