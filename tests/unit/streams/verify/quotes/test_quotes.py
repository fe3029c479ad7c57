"""Fates of option quotes and the chains they make, by hand: docs/semantics.md, Option quotes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from optionstream.schemas import rejects, topics
from optionstream.schemas.events import MAX_STRIKES, OptionQuoteFrame
from optionstream.streams.core.market.calendar import FNO, nse_calendar
from optionstream.streams.kafka.records import RawRecord
from optionstream.streams.verify.quotes.assembled import Assembled, Timing, assembled
from optionstream.streams.verify.quotes.log import QuoteLog, quotes_of
from tests.unit.streams.verify.world import DAY, LATENESS, MINUTE, OPEN, PRODUCT, Log

FNO_CLOSE = OPEN + 375 * MINUTE
SESSION = nse_calendar().session_at(FNO, OPEN)
assert SESSION is not None


def quote(ts_ms: int, seq: int, strike: float = 100.0, **changed: Any) -> OptionQuoteFrame:
    """One quote of a call; a figure is given as a number."""
    frame = OptionQuoteFrame(
        product=PRODUCT,
        expiry="2024-01-04",
        source="test",
        session="s1",
        ts_recv=ts_ms,
        oi_unit="shares",
        ts_ms=[ts_ms],
        seq=[seq],
        strike=[strike],
        kind=["CE"],
    )
    columns = {
        name: [value] if isinstance(value, float) or name == "kind" else value
        for name, value in changed.items()
    }
    return msgspec.structs.replace(frame, **columns)


def joined(*quotes: OptionQuoteFrame) -> OptionQuoteFrame:
    """One frame of all; what they share is the first one's."""
    names = [
        name for name in OptionQuoteFrame.__struct_fields__ if getattr(quotes[0], name) is not None
    ]
    columns = {
        name: [value for one in quotes for value in getattr(one, name)]
        for name in names
        if isinstance(getattr(quotes[0], name), list)
    }
    return msgspec.structs.replace(quotes[0], **columns)


# -- fates ----------------------------------------------------------------------------------------


def fates(*frames: OptionQuoteFrame, **how: Any) -> tuple[dict[str, int], dict[str, int]]:
    log = Log()
    for frame in frames:
        log.add(frame)
    counts = log.expectation(**how).counts()[topics.OPTION_QUOTE]
    assert counts.balanced
    told = {
        "accepted": counts.accepted,
        "outside": counts.outside_session,
        "duplicates": counts.duplicates,
        "held": counts.held,
    }
    return {name: count for name, count in told.items() if count}, dict(counts.rejects)


def test_a_session_begins_with_its_second_quote() -> None:
    assert fates(quote(OPEN, 1)) == ({"held": 1}, {})
    assert fates(quote(OPEN, 1), quote(OPEN, 1)) == ({"held": 1, "duplicates": 1}, {})
    assert fates(quote(OPEN, 1), quote(OPEN, 2)) == ({"accepted": 2}, {})


def test_identity_is_source_label_and_number_within_a_session() -> None:
    frames = [
        quote(OPEN, 1),
        quote(OPEN, 2),
        quote(OPEN + 9, 1, 110.0),
        quote(OPEN, 1, source="other"),
        quote(OPEN, 1, session="s2"),
        quote(OPEN, 1, expiry="2024-01-11"),
        quote(OPEN, 2, expiry="2024-01-11"),
        quote(OPEN + DAY, 1),
        quote(OPEN + DAY, 2),
    ]
    assert fates(*frames) == ({"accepted": 8, "duplicates": 1}, {})


def test_quotes_of_earlier_sessions_come_too_late() -> None:
    later = [quote(OPEN + DAY, 1), quote(OPEN + DAY, 2)]
    assert fates(*later, quote(OPEN, 3)) == ({"accepted": 2}, {rejects.TOO_LATE: 1})
    assert fates(quote(OPEN, 3), *later) == ({"accepted": 2}, {rejects.TOO_LATE: 1})


def test_at_most_eight_sessions_wait() -> None:
    days = [0, 1, 2, 3, 4, 7, 8, 9, 10]
    frames = [quote(OPEN + day * DAY, 1) for day in days]
    assert fates(*frames) == ({"held": 8}, {rejects.UNCONFIRMED_SESSION: 1})


@pytest.mark.parametrize(
    ("moment", "phase"),
    [(OPEN - 1, "closed"), (FNO_CLOSE, "after_close"), (OPEN - DAY, "closed")],
)
def test_quotes_that_no_session_holds_are_counted(moment: int, phase: str) -> None:
    assert fates(quote(moment, 1)) == ({"outside": 1}, {})
    log = Log()
    log.add(quote(moment, 1))
    assert log.expectation().counts()[topics.OPTION_QUOTE].outside == {phase: 1}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"ts_ms": 0}, rejects.BAD_TIME),
        ({"ts_ms": 4_102_444_800_000, "last": -1.0}, rejects.BAD_TIME),
        ({"ts_ms": 4_070_908_800_000}, rejects.NO_CALENDAR),
        ({"ts_ms": 4_070_908_800_000, "strike": 0.0}, rejects.BAD_QUOTE),
        ({"strike": 0.0}, rejects.BAD_QUOTE),
        ({"strike": -1.0}, rejects.BAD_QUOTE),
        ({"oi": -1.0}, rejects.BAD_QUOTE),
        ({"volume": -1.0}, rejects.BAD_QUOTE),
        ({"last": -1.0}, rejects.BAD_QUOTE),
        ({"bid": -1.0}, rejects.BAD_QUOTE),
        ({"ask": -1.0}, rejects.BAD_QUOTE),
        ({"underlying_price": 0.0}, rejects.BAD_QUOTE),
        ({"oi_change": -1.0, "iv": -1.0, "last": 0.0}, None),
    ],
)
def test_each_reason_to_refuse_a_quote(changed: dict[str, Any], reason: str | None) -> None:
    good = [quote(OPEN, 1), quote(OPEN, 2)]
    told = fates(*good, quote(**{"ts_ms": OPEN, "seq": 3, **changed}))
    assert told == ({"accepted": 2 if reason else 3}, {reason: 1} if reason else {})


def test_the_future_is_refused_in_live_only() -> None:
    frames = [quote(OPEN, 1), quote(OPEN, 2), quote(OPEN + 60_001, 3, ts_recv=OPEN)]
    assert fates(*frames, live=True) == ({"accepted": 2}, {rejects.FUTURE_EVENT: 1})
    assert fates(*frames) == ({"accepted": 3}, {})


def test_an_expiry_has_at_most_2000_strikes_a_session() -> None:
    full = joined(*(quote(OPEN, at, float(at)) for at in range(1, MAX_STRIKES + 1)))
    more = [quote(OPEN, 9_001, 9_001.0), quote(OPEN, 9_002, 5.0), quote(OPEN, 1, 9_001.0)]
    told = fates(full, *more, quote(OPEN, 9_001, 6.0))
    assert told == ({"accepted": 2_002, "duplicates": 1}, {rejects.BAD_QUOTE: 1})


def test_a_refusal_names_the_quotes_of_its_frame() -> None:
    log = Log()
    log.add(joined(quote(OPEN, 1), quote(0, 2), quote(OPEN, 3), quote(0, 4)))
    ((key, refused),) = log.expectation().rejects().items()
    assert (key.reason, refused.indices, refused.events) == (rejects.BAD_TIME, {1, 3}, 2)


# -- chains ---------------------------------------------------------------------------------------


def chains(
    *quotes: OptionQuoteFrame, cadence_ms: int = 1_000, ended: bool = False, lateness: int = 0
) -> list[Assembled]:
    """Assemble accepted quotes of one session, which the record at offset 99 ended."""
    log = QuoteLog()
    for offset, frame in enumerate(quotes):
        record = RawRecord(topics.OPTION_QUOTE, 0, offset, 0, None, None, None)
        for one in quotes_of(record, frame):
            log.add_quote(one)
    assert SESSION is not None
    timing = Timing(SESSION, cadence_ms, lateness, 99 if ended else None)
    return list(assembled(PRODUCT, "2024-01-04", log, timing))


def moments(found: list[Assembled]) -> list[int]:
    """Of chains, in milliseconds after the open."""
    return [one.chain.ts_event - OPEN for one in found]


def lasts(found: list[Assembled]) -> list[list[float | None]]:
    return [one.chain.calls.last for one in found]


def test_a_chain_goes_out_at_each_boundary_that_has_something_new() -> None:
    found = chains(
        quote(OPEN, 1, last=1.0),
        quote(OPEN + 999, 2, last=2.0),
        quote(OPEN + 1_000, 3, last=3.0),
        quote(OPEN + 5_500, 4, last=4.0),
        quote(OPEN + 9_000, 5, last=5.0),
    )
    assert moments(found) == [1_000, 2_000, 6_000]
    assert lasts(found) == [[2.0], [3.0], [4.0]]


def test_nothing_goes_out_before_the_watermark_is_there() -> None:
    quotes = [quote(OPEN, 1), quote(OPEN + 2_999, 2)]
    assert moments(chains(*quotes, lateness=2_000)) == []
    assert moments(chains(*quotes, quote(OPEN + 3_000, 3), lateness=2_000)) == [1_000]


def test_a_quote_within_the_lateness_takes_part_by_its_time() -> None:
    quotes = [quote(OPEN + 1_500, 1, last=1.0), quote(OPEN + 500, 2, last=2.0)]
    found = chains(*quotes, quote(OPEN + 4_000, 3), lateness=2_000)
    assert (moments(found), lasts(found)) == ([1_000, 2_000], [[2.0], [1.0]])


def test_a_quote_that_is_later_takes_part_in_the_next_chain_and_overrides_nothing_newer() -> None:
    late = quote(OPEN + 500, 2, 100.0, last=2.0, volume=7.0)
    found = chains(quote(OPEN + 1_500, 1, last=1.0), late, quote(OPEN + 9_000, 3))
    assert (moments(found), lasts(found)) == ([2_000], [[1.0]])
    assert found[0].chain.calls.volume == [7.0]


def test_a_boundary_that_only_late_quotes_reach_has_a_chain() -> None:
    first, second = quote(OPEN, 1, last=1.0), quote(OPEN + 3_000, 2, 110.0)
    late = quote(OPEN + 1, 3, 120.0, last=3.0)
    found = chains(first, second, late, quote(OPEN + 9_000, 4))
    assert moments(found) == [1_000, 4_000]
    assert found[1].chain.strikes == [100.0, 110.0, 120.0]


def test_the_close_is_the_last_boundary_of_a_session_that_has_ended() -> None:
    quotes = [quote(OPEN, 1, last=1.0), quote(OPEN + 1_000, 2, last=2.0), quote(OPEN + 1_500, 3)]
    found = chains(*quotes, ended=True)
    assert (moments(found), lasts(found)) == ([1_000, 375 * MINUTE], [[1.0], [2.0]])
    assert moments(chains(ended=True)) == []


def test_the_close_is_a_boundary_whatever_the_cadence() -> None:
    found = chains(quote(FNO_CLOSE - 1, 1), cadence_ms=7 * MINUTE, ended=True)
    assert moments(found) == [375 * MINUTE]


def test_cadence_0_makes_a_chain_after_each_time_that_has_a_quote() -> None:
    quotes = [quote(OPEN + at, seq) for seq, at in enumerate([5, 5, 9, 700])]
    assert moments(chains(*quotes, cadence_ms=0)) == [6, 10]
    assert moments(chains(*quotes, cadence_ms=0, ended=True)) == [6, 10, 375 * MINUTE]


def test_with_cadence_0_a_late_quote_joins_the_next_one_that_is_not() -> None:
    late = quote(OPEN + 1, 3, 110.0)
    found = chains(quote(OPEN + 5, 1), quote(OPEN + 9, 2), late, quote(OPEN + 20, 4), cadence_ms=0)
    assert moments(found) == [6, 10]
    assert [one.chain.strikes for one in found] == [[100.0], [100.0, 110.0]]


def test_a_chain_goes_out_with_the_record_that_lets_the_watermark_reach_its_boundary() -> None:
    quotes = [quote(OPEN + at, seq) for seq, at in enumerate([0, 2_999, 500, 3_000, 9_000, 9_500])]
    found = chains(*quotes, lateness=2_000, ended=True)
    assert moments(found) == [1_000, 3_000, 4_000, 375 * MINUTE]
    assert [one.offset for one in found] == [3, 4, 4, 99]


def test_each_figure_is_the_newest_told_of_it() -> None:
    found = chains(
        quote(OPEN + 1, 1, last=1.0, volume=10.0, underlying_price=500.0),
        quote(OPEN + 3, 2, last=3.0, bid=2.0),
        quote(OPEN + 2, 3, last=2.0, volume=20.0, underlying_price=501.0),
        quote(OPEN + 2_000, 4),
    )
    (chain, *_), *_ = found
    assert (chain.calls.last, chain.calls.bid, chain.calls.volume) == ([3.0], [2.0], [20.0])
    assert chain.underlying_price == 501.0
    assert chain.calls.ask == [None]
    assert chain.puts.last == [None]


@pytest.mark.parametrize(("first", "second", "last"), [(1, 2, 8.0), (2, 1, 7.0), (1, 1, 8.0)])
def test_of_one_time_the_greater_number_counts_and_of_equals_the_later(
    first: int, second: int, last: float
) -> None:
    quotes = [quote(OPEN, first, last=7.0), quote(OPEN, second, last=8.0, source="other")]
    (chain, *_), *_ = chains(*quotes, quote(OPEN + 2_000, 9))
    assert chain.calls.last == [last]
    assert chain.source == ("other" if last == 8 else "test")


@pytest.mark.parametrize("name", ["last", "bid", "ask"])
def test_a_price_of_0_means_that_there_is_none(name: str) -> None:
    quotes = [quote(OPEN, 1, **{name: 5.0}), quote(OPEN + 1, 2, **{name: 0.0})]
    (chain, *_), *_ = chains(*quotes, quote(OPEN + 2_000, 9))
    assert getattr(chain.calls, name) == [None]


def test_open_interest_of_0_is_some() -> None:
    (chain, *_), *_ = chains(quote(OPEN, 1, oi=0.0, volume=0.0), quote(OPEN + 2_000, 9))
    assert (chain.calls.oi, chain.calls.volume) == ([0.0], [0.0])


def test_open_interest_in_another_unit_than_the_newest_quotes_is_left_out() -> None:
    told = {"oi": 5.0, "oi_change": 1.0, "volume": 3.0}
    found = chains(
        quote(OPEN, 1, **told),
        quote(OPEN + 1, 2, 110.0, oi_unit="lots", **told),
        quote(OPEN + 1_001, 3, 120.0),
        quote(OPEN + 9_000, 4),
    )
    (first, *_), (second, *_) = found
    assert (first.oi_unit, first.calls.oi, first.calls.oi_change) == ("lots", [None, 5], [None, 1])
    assert (second.oi_unit, second.calls.oi) == ("shares", [5, None, None])
    assert first.calls.volume == [3, 3]


def test_a_chain_tells_when_its_newest_quote_came_and_how_old_its_oldest_leg_is() -> None:
    found = chains(
        quote(OPEN + 100, 1, ts_recv=OPEN + 5_000),
        quote(OPEN + 300, 2, ts_recv=OPEN + 400),
        quote(OPEN + 200, 3, kind="PE"),
        quote(OPEN + 1_400, 4),
        quote(OPEN + 9_000, 5),
    )
    assert [one.chain.ts_recv - OPEN for one in found] == [5_000, 5_000]
    assert [one.oldest_leg_ms for one in found] == [1_000 - 200, 2_000 - 200]


def test_a_long_session_is_the_same_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    quotes = [
        quote(OPEN + at * 400 - at % 5 * 900, at, 100.0 + at % 7, last=float(at), oi=float(at))
        for at in range(3, 90)
    ]
    whole = chains(*quotes, ended=True, lateness=1_000)
    monkeypatch.setattr("optionstream.streams.verify.quotes.assembled._CHUNK", 3)
    assert chains(*quotes, ended=True, lateness=1_000) == whole
    assert len(whole) > 20


def test_the_chains_of_every_session_and_expiry_must_go_out() -> None:
    log = Log()
    for day in (0, 1):
        for expiry in ("2024-01-04", "2024-01-11"):
            for at in (0, 500, 1_000 + LATENESS):
                moment = OPEN + day * DAY + at
                log.add(quote(moment, at, last=5.0, oi=1.0, expiry=expiry))
    found = [one for variants in log.expectation().chains.values() for one in variants]
    places = {(one.expiry, (one.ts_event - OPEN) % DAY) for one in found}
    assert places == {
        (expiry, at) for expiry in ("2024-01-04", "2024-01-11") for at in (1_000, 375 * MINUTE)
    }
    # The first day has ended: a chain at its boundary and one at its close.
    assert len(found) == 2 * (2 + 1)
    assert all(one.oldest_leg_ms is not None for one in found)
