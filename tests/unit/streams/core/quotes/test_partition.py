"""A partition of option quotes: what goes out, and its state as bytes."""

from __future__ import annotations

import random

import pytest

from optionstream.schemas import codec
from optionstream.schemas.derived import ChainAnalytics, Reject
from optionstream.schemas.events import OptionQuoteFrame
from optionstream.schemas.topics import (
    CHAIN,
    OPTION_QUOTE,
    REJECTS,
    SURFACE,
    chain_key,
    partition_for,
)
from optionstream.streams.core.counts import read_counts
from optionstream.streams.core.intake import Output, Source
from optionstream.streams.core.market.calendar import nse_calendar
from optionstream.streams.core.quotes import assembly, seen_numbers
from optionstream.streams.core.quotes.partition import QuotePartition
from optionstream.streams.core.quotes.seen_numbers import PAGE, SeenNumbers
from optionstream.streams.core.rules import Rules
from tests.unit.streams.core.quotes.quoting import DAY_MS, EXPIRY, frame, told, wild_quotes
from tests.unit.streams.core.ticks.helpers import LATENESS_MS, NEXT_OPEN, OPEN, PARTITIONS, Record

FEED = ("s", "d")
HOME = partition_for("NIFTY", PARTITIONS)


def record(event: OptionQuoteFrame, offset: int) -> Record:
    key = chain_key(event.product, event.expiry).encode()
    return Record(offset, event.ts_recv, key, codec.encode(event), codec.headers_for(event))


def partition(cadence_ms: int = 1_000) -> QuotePartition:
    rules = Rules(nse_calendar(), LATENESS_MS, quote_cadence_ms=cadence_ms)
    return QuotePartition(Source(OPTION_QUOTE, HOME, PARTITIONS), rules)


def chains(outputs: list[Output]) -> list[ChainAnalytics]:
    return [out.record for out in outputs if isinstance(out.record, ChainAnalytics)]


def rejects(outputs: list[Output]) -> list[Reject]:
    return [out.record for out in outputs if isinstance(out.record, Reject)]


def test_chains_go_out_as_analytics_under_the_key_of_their_expiry() -> None:
    part = partition()
    part.apply([record(frame(told(0, 1, 26_000.0, "PE", oi=130.0, last=90.0)), 0)])
    first = frame(
        told(10, 2, oi=65.0, last=100.0, underlying_price=26_010.0),
        told(400, 3, 26_050.0, "CE", last=80.0),
    )
    assert not part.apply([record(first, 1)])
    out, surface = part.apply([record(frame(told(3_000, 4), ts_recv=OPEN + 3_500), 2)])
    assert (surface.topic, surface.key) == (SURFACE, b"NIFTY")
    assert (out.topic, out.key, out.timestamp) == (CHAIN, b"NIFTY:2026-01-13", OPEN + 3_500)
    chain = out.record
    assert isinstance(chain, ChainAnalytics)
    assert (chain.ts_event, chain.ts_recv, chain.known_at) == (OPEN + 1_000, OPEN + 400, out[3])
    assert (chain.strikes, chain.missing_legs, chain.oldest_leg_ms) == (
        [26_000.0, 26_050.0],
        1,
        1_000,
    )
    assert (chain.pcr_oi, chain.underlying_price) == (2.0, 26_010.0)
    assert not part.partials()
    out, _ = part.apply([record(frame(told(6_000, 5), ts_recv=OPEN), 3)])
    assert out.timestamp == OPEN + 3_500


def test_expiries_share_the_counts_of_their_product_and_nothing_else() -> None:
    part = partition()
    for offset, expiry in enumerate((EXPIRY, "2026-01-20")):
        quotes = (told(0, 1), told(0, 2), told(0, 2), told(3_000, 3))
        outputs = part.apply([record(frame(*quotes, expiry=expiry), offset)])
        assert [chain.expiry for chain in chains(outputs)] == [expiry]
    (unread, counts) = part.counts()
    assert (counts.accepted, counts.duplicates, unread.accepted) == (6, 2, 0)
    assert read_counts(part.hot()) == part.counts()


def test_refused_quotes_are_told_by_their_places_in_the_frame_s_record() -> None:
    part = partition()
    one = frame(told(0, 1), told(0, 2, -1.0), told(-OPEN, 3), told(0, 4, 0.0), told(0, 5))
    incoming = record(one, 17)
    found = rejects(part.apply([incoming]))
    assert [(each.reason, each.indices, each.events) for each in found] == [
        ("bad_quote", [1, 3], 2),
        ("bad_time", [2], 1),
    ]
    for each in found:
        assert (each.topic, each.partition, each.offset) == (OPTION_QUOTE, HOME, 17)
        assert (each.raw_key, each.raw) == (incoming.key, incoming.value)


def test_a_quote_that_waited_in_vain_is_refused_as_a_frame_of_itself() -> None:
    part = partition()
    day, next_day = 1 * DAY_MS, 2 * DAY_MS
    lone = told(day, 7, 26_000.0, "PE", bid=0.0, oi=65.0, underlying_price=26_000.0)
    first = frame(told(0, 1), told(0, 2), lone, oi_unit="lots", ts_recv=OPEN + 5)
    part.apply([record(first, 3)])
    second = frame(told(next_day, 8), told(next_day, 9))
    (out,) = [out for out in part.apply([record(second, 4)]) if out.topic == REJECTS]
    assert isinstance(out.record, Reject)
    assert (out.record.reason, out.record.offset, out.record.indices) == ("too_late", 3, [2])
    assert (out.key, out.record.raw_key, out.timestamp) == (
        b"NIFTY:2026-01-13",
        b"NIFTY:2026-01-13",
        OPEN + 5,
    )
    assert codec.decode(out.record.raw, out.record.headers) == frame(
        lone, oi_unit="lots", ts_recv=OPEN + 5
    )
    assert part.counts()[1].rejects == {"too_late": 1}


def test_a_record_that_cannot_be_read_is_refused_whole_and_counted_by_its_quotes() -> None:
    part = partition()
    wrong_key = record(frame(told(0, 1), told(0, 2)), 5)._replace(key=b"NIFTY")
    (found,) = rejects(part.apply([wrong_key]))
    assert (found.reason, found.events, found.indices) == ("key_mismatch", 2, [])
    assert part.counts()[0].rejects == {"key_mismatch": 2}
    assert not part.products


# -- state ----------------------------------------------------------------------------------------


def wild_frames(seed: int) -> list[OptionQuoteFrame]:
    """Frames of two expiries over parts of two days, with everything in them."""
    rng = random.Random(seed)
    made = wild_quotes(seed, 60)
    tomorrow = [one._replace(ts=one.ts + DAY_MS, seq=one.seq + 1_000) for one in made]
    quotes = [*made, *tomorrow]
    frames, start = [], 0
    while start < len(quotes):
        size = rng.choice((1, 3, 9))
        part = quotes[start : start + size]
        frames.append(
            frame(
                *part,
                expiry=rng.choice((EXPIRY, "2026-01-20")),
                session=rng.choice("de"),
                ts_recv=part[0].ts + rng.randint(0, 100_000),
            )
        )
        start += size
    return frames


@pytest.mark.parametrize(("seed", "cadence"), [(1, 0), (2, 1_000), (3, 20_000), (4, 1_000)])
def test_stopping_and_restoring_anywhere_changes_nothing(
    seed: int, cadence: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen_numbers, "PAGE", 3)
    monkeypatch.setattr(assembly, "MAX_STRIKES", 3)
    records = [record(one, offset) for offset, one in enumerate(wild_frames(seed))]
    whole, outputs, states = partition(cadence), [], []
    stored: dict[str, bytes] = {}
    for one in records:
        outputs.append(whole.apply([one]))
        for name, data in whole.take_segments().items():
            if data is None:
                del stored[name]
            else:
                stored[name] = data
        states.append((whole.hot(), dict(stored)))
    assert sum(len(chains(each)) for each in outputs) > 15
    assert any(name.startswith("seen|") for _, segments in states for name in segments)
    for stop, (hot, segments) in enumerate(states):
        successor = partition(cadence)
        successor.restore(hot, segments)
        assert successor.hot() == hot
        for after in range(stop + 1, len(records)):
            assert successor.apply([records[after]]) == outputs[after]
            assert successor.hot() == states[after][0]


def test_what_a_superseded_quote_told_of_the_market_survives_a_restart() -> None:
    part = partition()
    part.apply([record(frame(told(0, 1), told(5, 2, bid=1.0), ts_recv=OPEN + 50_000), 0)])
    priced = told(10, 3, bid=1.5, underlying_price=26_000.0)
    part.apply([record(frame(priced, told(20, 4, bid=2.0), told(5_000, 5)), 1)])
    successor = partition()
    successor.restore(
        part.hot(), {name: data for name, data in part.take_segments().items() if data}
    )
    (chain,) = chains(successor.apply([record(frame(told(9_000, 6)), 2)]))
    assert (chain.ts_event, chain.ts_recv) == (OPEN + 6_000, OPEN + 50_000)
    assert (chain.underlying_price, chain.calls.bid) == (26_000.0, [2.0])


def test_a_segment_is_written_only_when_a_boundary_was_passed() -> None:
    part = partition()
    part.apply([record(frame(told(0, 1), told(0, 2)), 0)])
    assert list(part.take_segments()) == [f"chains|NIFTY|{EXPIRY}"]
    part.apply([record(frame(told(2_999, 3)), 1)])
    assert part.take_segments() == {}
    part.apply([record(frame(told(3_000, 4)), 2)])
    assert list(part.take_segments()) == [f"{part}|NIFTY|{EXPIRY}" for part in ("smiles", "chains")]


def test_pages_of_seen_numbers_go_with_their_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_numbers, "PAGE", 2)
    part = partition()
    part.apply([record(frame(*(told(1, 2 * n) for n in range(5))), 0)])
    first = {name for name in part.take_segments() if name.startswith("seen|")}
    assert first == {f"seen|NIFTY|{EXPIRY}|{OPEN}|{page}" for page in (0, 1)}
    tomorrow = NEXT_OPEN - OPEN
    part.apply([record(frame(*(told(tomorrow, 2 * n) for n in range(3))), 1)])
    changed = part.take_segments()
    assert {name for name, data in changed.items() if data is None} == first
    assert changed[f"seen|NIFTY|{EXPIRY}|{NEXT_OPEN}|0"] is not None


def test_numbers_of_two_feeds_are_two_ranges_though_they_follow_each_other() -> None:
    seen, other = SeenNumbers(), ("s", "e")
    for feed in (FEED, FEED, other, other):
        seen.add_number(feed, len(seen.page) + 1 if feed == other else 1)
    assert seen.page == [(FEED, 1, 1), (other, 2, 3)]


def test_a_feed_that_numbers_through_all_contracts_keeps_the_hot_page_short() -> None:
    seen = SeenNumbers()
    for number in range(0, 3 * PAGE * 5, 3):
        assert seen.add_number(FEED, number)
        assert seen.add_number(FEED, number + 1)
        assert not seen.add_number(FEED, number)
    pages = seen.take_full()
    assert [len(page) for page in pages] == [PAGE] * 4
    assert len(seen.page) == PAGE
    again = SeenNumbers()
    for page in [*pages, seen.page]:
        again.add_page(page)
    assert all(again.has_number(FEED, number) is (number % 3 < 2) for number in range(3 * PAGE * 5))
