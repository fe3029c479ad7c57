"""The simulated market: full days, plausible numbers, the same bytes for the same seed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date
from functools import cache

import numpy as np
import pytest

from optionstream.producers.pacing import event_time
from optionstream.producers.simulated import SimulatedMarket, SimulationConfig
from optionstream.producers.simulated.expiries import expiries_of
from optionstream.producers.simulated.pricing import normal_cdf, price_options
from optionstream.producers.simulated.specs import SPECS
from optionstream.schemas import codec
from optionstream.schemas.checks import check_chain, check_frame, check_quotes
from optionstream.schemas.errors import UsageError
from optionstream.schemas.events import (
    LEG_COLUMNS,
    ChainSnapshot,
    Heartbeat,
    MarketEvent,
    OptionQuoteFrame,
    TickFrame,
)
from tests.harness.feed_files import at
from tests.unit.producers.simulated.digests import CLOSE, DAY, DEFAULT, OPEN, SHORT, digest_of

QUOTES = replace(SHORT, quotes=True)


@cache
def _events(config: SimulationConfig) -> list[MarketEvent]:
    return list(SimulatedMarket(config).events())


def _frames(config: SimulationConfig, product: str) -> list[TickFrame]:
    events = _events(config)
    return [e for e in events if isinstance(e, TickFrame) and e.product == product]


def _chains(config: SimulationConfig) -> list[ChainSnapshot]:
    return [event for event in _events(config) if isinstance(event, ChainSnapshot)]


def _quote_frames(config: SimulationConfig) -> list[OptionQuoteFrame]:
    return [event for event in _events(config) if isinstance(event, OptionQuoteFrame)]


def test_a_default_day_has_the_ticks_and_chains_that_the_demonstration_needs() -> None:
    ticks = sum(len(e.ts_ms) for e in _events(DEFAULT) if isinstance(e, TickFrame))
    assert ticks >= 45_000
    assert len(_chains(DEFAULT)) >= 5_000


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    assert digest_of(SHORT) == digest_of(SHORT)
    assert digest_of(SHORT) != digest_of(replace(SHORT, seed=2))
    assert digest_of(SHORT) != digest_of(replace(SHORT, date="2026-01-07", close_ms=None))


@pytest.mark.parametrize("hash_seed", ["0", "4242"])
def test_another_process_gives_the_same_bytes_whatever_its_hash_seed(hash_seed: str) -> None:
    program = (
        "from tests.unit.producers.simulated.digests import SHORT, digest_of\n"
        "print(digest_of(SHORT))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == digest_of(SHORT)


def test_a_product_is_the_same_whichever_others_are_simulated() -> None:
    alone = [
        (frame.ts_ms, frame.price, frame.volume)
        for frame in _frames(replace(SHORT, products=("BANKNIFTY",)), "BANKNIFTY")
    ]
    beside = [(f.ts_ms, f.price, f.volume) for f in _frames(SHORT, "BANKNIFTY")]
    assert alone == beside


def test_events_come_in_order_of_their_time_and_keep_the_contract() -> None:
    times = [event_time(event) for event in _events(DEFAULT)]
    assert times == sorted(times)
    for event in _events(DEFAULT):
        if isinstance(event, TickFrame):
            check_frame(event)
        elif isinstance(event, ChainSnapshot):
            check_chain(event)
        assert event.ts_recv == event_time(event)


def test_what_is_encoded_is_decoded_unchanged() -> None:
    for event in _events(SHORT):
        assert codec.decode(codec.encode(event), codec.headers_for(event)) == event


@pytest.mark.parametrize("product", DEFAULT.products)
def test_ticks_are_numbered_inside_the_session_and_on_the_tick_size(product: str) -> None:
    frames = _frames(DEFAULT, product)
    stamps = [ts for frame in frames for ts in frame.ts_ms]
    prices = np.array([price for frame in frames for price in frame.price])
    volumes = [volume for frame in frames for volume in frame.volume or []]
    assert [seq for f in frames for seq in f.seq] == list(range(1, len(stamps) + 1))
    assert stamps == sorted(stamps)
    assert stamps[0] > OPEN
    assert stamps[-1] < CLOSE
    assert len({ts % 1000 for ts in stamps}) > 900
    assert np.all(prices == np.round(prices, 2))
    assert np.allclose(prices * 20, np.round(prices * 20))
    assert all(isinstance(volume, int) for volume in volumes)
    assert volumes == sorted(volumes)  # type: ignore[type-var]
    assert {frame.session for frame in frames} == {DAY}
    assert {frame.source for frame in frames} == {"sim"}


@pytest.mark.parametrize("product", DEFAULT.products)
def test_the_market_moves_most_and_ticks_most_near_open_and_close(product: str) -> None:
    stamps: list[int] = []
    prices: list[float] = []
    for frame in _frames(DEFAULT, product):
        stamps += frame.ts_ms
        prices += frame.price
    minutes = np.array([(ts - OPEN) // 60_000 for ts in stamps])
    steps = np.diff(np.log(prices), prepend=np.log(prices[0])) ** 2
    edges = (minutes < 30) | (minutes >= 345)
    noon = (minutes >= 157) & (minutes < 217)
    assert edges.sum() > 1.5 * noon.sum()
    assert steps[edges].sum() > 1.5 * steps[noon].sum()
    assert 0.001 < max(prices) / min(prices) - 1 < 0.06


def test_no_heartbeat_overtakes_a_tick_of_its_product() -> None:
    reached: dict[str, int] = defaultdict(int)
    for event in _events(replace(DEFAULT, frame_ms=7_000, heartbeat_every_s=45)):
        if isinstance(event, Heartbeat):
            reached[event.product] = event.ts_event
        elif isinstance(event, TickFrame):
            assert min(event.ts_ms) > reached[event.product]


def test_heartbeats_come_each_minute_and_once_behind_the_close() -> None:
    beats = [e for e in _events(DEFAULT) if isinstance(e, Heartbeat) and e.product == "NIFTY"]
    assert [beat.ts_event - OPEN for beat in beats[:-1]] == [60_000 * n for n in range(1, 375)]
    assert beats[-1].ts_event == CLOSE + 5_000


@pytest.mark.parametrize(("ticks", "ms"), [(1, 60_000), (10, 60_000), (10_000, 250), (1000, 10**9)])
def test_frames_keep_their_limits_and_never_change_the_ticks(ticks: int, ms: int) -> None:
    config = replace(SHORT, frame_ticks=ticks, frame_ms=ms)
    frames = _frames(config, "NIFTY")
    assert max(len(frame.ts_ms) for frame in frames) <= ticks
    assert max(frame.ts_ms[-1] - frame.ts_ms[0] for frame in frames) <= ms

    def flat(name: str, frames: list[TickFrame]) -> list[float]:
        return [value for frame in frames for value in getattr(frame, name)]

    for name in ("ts_ms", "price", "seq", "volume"):
        assert flat(name, frames) == flat(name, _frames(SHORT, "NIFTY"))


def test_captures_hold_every_expiry_at_the_cadence() -> None:
    by_capture: dict[tuple[str, str], list[ChainSnapshot]] = defaultdict(list)
    for chain in _chains(DEFAULT):
        by_capture[chain.product, chain.capture_id].append(chain)
    for (product, _), chains in by_capture.items():
        assert len(chains) == chains[0].expiries_in_capture == SPECS[product].expiry_count
        assert len({chain.ts_event for chain in chains}) == 1
        assert len({chain.expiry for chain in chains}) == len(chains)
        assert OPEN < chains[0].ts_event < CLOSE
    for product in DEFAULT.products:
        own = [chain for chain in _chains(DEFAULT) if chain.product == product]
        assert [chain.seq for chain in own] == list(range(1, len(own) + 1))
        times = sorted({chain.ts_event for chain in own})
        assert set(np.diff(times).tolist()) == {20_000}


def test_chains_stand_around_the_money_on_their_grid() -> None:
    for chain in _chains(DEFAULT):
        spec = SPECS[chain.product]
        assert len(chain.strikes) == spec.strikes
        assert set(np.diff(chain.strikes).tolist()) == {spec.strike_step}
        assert chain.underlying_price is not None
        middle = chain.strikes[spec.strikes // 2]
        assert abs(middle - chain.underlying_price) <= spec.strike_step / 2
        assert chain.oi_unit == "shares"


def test_quotes_are_ordered_and_the_smile_is_one() -> None:
    for chain in _chains(DEFAULT)[::50]:
        iv = [value for value in chain.calls.iv if value is not None]
        assert min(iv) > 5
        assert max(iv) < 80
        assert iv[0] > iv[len(iv) // 2]
        for legs in (chain.calls, chain.puts):
            for bid, last, ask in zip(legs.bid, legs.last, legs.ask, strict=True):
                assert last is not None
                assert last > 0
                assert ask is not None
                assert bid is None or 0.05 <= bid < ask


def test_open_interest_and_volume_are_lots_and_evolve() -> None:
    volumes: Counter[tuple[str, str, float]] = Counter()
    oi_seen: defaultdict[tuple[str, str, float], set[float]] = defaultdict(set)
    for chain in _chains(DEFAULT):
        lot = SPECS[chain.product].lot
        legs = chain.calls
        for strike, oi, change, volume in zip(
            chain.strikes, legs.oi, legs.oi_change, legs.volume, strict=True
        ):
            key = (chain.product, chain.expiry, strike)
            assert oi is not None
            assert change is not None
            assert volume is not None
            assert oi % lot == change % lot == volume % lot == 0
            assert volume >= volumes[key]
            volumes[key] = int(volume)
            oi_seen[key].add(oi)
            assert oi - change >= 0
    assert np.median([len(seen) for seen in oi_seen.values()]) > 100


def test_quotes_stand_in_place_of_chains_and_change_nothing_else() -> None:
    def others(config: SimulationConfig) -> list[MarketEvent]:
        options = (ChainSnapshot, OptionQuoteFrame)
        return [event for event in _events(config) if not isinstance(event, options)]

    assert not _chains(QUOTES)
    assert not _quote_frames(SHORT)
    assert others(QUOTES) == others(SHORT)
    assert digest_of(QUOTES) == digest_of(QUOTES) != digest_of(replace(QUOTES, seed=2))


def test_quote_frames_keep_the_contract_and_come_in_order_of_their_time() -> None:
    times = [event_time(event) for event in _events(QUOTES)]
    assert times == sorted(times)
    frames = _quote_frames(QUOTES)
    assert {(f.product, f.expiry) for f in frames} == {
        (c.product, c.expiry) for c in _chains(SHORT)
    }
    for frame in frames:
        check_quotes(frame)
        assert frame.ts_ms == sorted(frame.ts_ms)
        assert OPEN < frame.ts_ms[0] <= frame.ts_ms[-1] == frame.ts_recv < OPEN + 600_000
        assert (frame.source, frame.session, frame.oi_unit) == ("sim", DAY, "shares")
        assert codec.decode(codec.encode(frame), codec.headers_for(frame)) == frame


def test_quotes_of_a_product_are_numbered_through_all_its_expiries() -> None:
    for product in QUOTES.products:
        numbers = [n for f in _quote_frames(QUOTES) if f.product == product for n in f.seq]
        assert sorted(numbers) == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize(("size", "ms"), [(1, 60_000), (7, 1_000), (10_000, 10**9)])
def test_quote_frames_keep_their_limits_and_never_change_the_quotes(size: int, ms: int) -> None:
    frames = _quote_frames(replace(QUOTES, frame_ticks=size, frame_ms=ms))
    assert max(len(frame.ts_ms) for frame in frames) <= size
    assert max(frame.ts_ms[-1] - frame.ts_ms[0] for frame in frames) <= ms
    assert _single_quotes(frames) == _single_quotes(_quote_frames(QUOTES))


def _single_quotes(frames: list[OptionQuoteFrame]) -> set[tuple[object, ...]]:
    names = ("ts_ms", "seq", "strike", "kind", *LEG_COLUMNS, "underlying_price")
    return {
        (frame.product, frame.expiry, *row)
        for frame in frames
        for row in zip(
            *(getattr(frame, name) or [None] * len(frame.ts_ms) for name in names), strict=True
        )
    }


def test_a_quote_tells_what_is_new_about_its_contract() -> None:
    shown: dict[tuple[str, str, float, str], dict[str, float]] = {}
    silent = 0
    for frame in _quote_frames(QUOTES):
        for row, strike in enumerate(frame.strike):
            columns = {name: getattr(frame, name) for name in LEG_COLUMNS}
            told = {
                name: column[row]
                for name, column in columns.items()
                if column is not None and column[row] is not None
            }
            before = shown.setdefault((frame.product, frame.expiry, strike, frame.kind[row]), {})
            assert told
            assert all(before.get(name) != value for name, value in told.items())
            silent += len(LEG_COLUMNS) - len(told)
            before.update(told)
    assert silent > 1_000


def test_a_live_simulation_may_start_at_any_moment_of_any_day() -> None:
    start = at("2026-01-10 23:59:00")  # a Saturday
    config = replace(
        DEFAULT, date="2026-01-10", open_ms=start, close_ms=start + 120_000,
        frame_ms=250, session_label="2026-01-10#a1",
    )  # fmt: skip
    events = _events(config)
    stamps = [ts for e in events if isinstance(e, TickFrame) for ts in e.ts_ms]
    assert start < min(stamps) <= max(stamps) < start + 120_000
    labels = {e.session for e in events if not isinstance(e, Heartbeat)}
    assert labels == {"2026-01-10#a1"}
    assert _chains(config)


def test_a_session_too_short_for_a_chain_has_ticks_only() -> None:
    config = replace(DEFAULT, close_ms=OPEN + 1_000)
    assert not _chains(config)
    assert _frames(config, "NIFTY")


@pytest.mark.parametrize("product", sorted(SPECS))
def test_every_known_product_can_be_simulated(product: str) -> None:
    config = replace(SHORT, products=(product,), expiries_per_product=4, strikes_per_chain=101)
    chains = _chains(config)
    assert {len(chain.strikes) for chain in chains} == {101}
    assert len({chain.expiry for chain in chains}) == 4


def test_expiries_are_the_next_weeklies_and_the_monthly() -> None:
    assert expiries_of(SPECS["NIFTY"], date(2026, 1, 6)) == [
        date(2026, 1, 6),
        date(2026, 1, 13),
        date(2026, 1, 27),
    ]
    assert expiries_of(SPECS["NIFTY"], date(2026, 1, 21)) == [
        date(2026, 1, 27),
        date(2026, 2, 3),
        date(2026, 2, 24),
    ]
    assert expiries_of(SPECS["BANKNIFTY"], date(2026, 11, 25)) == [
        date(2026, 12, 29),
        date(2027, 1, 26),
    ]


def test_prices_keep_put_call_parity_and_the_textbook_value() -> None:
    assert normal_cdf(np.array([[0.0, 1.96]])) == pytest.approx(np.array([[0.5, 0.9750021]]))
    spot, strikes = np.array([26_000.0]), np.array([[25_000.0, 26_000.0, 27_000.0]])
    year = np.array([365 * 86_400_000.0])
    quotes = price_options(spot, strikes, year, np.array([0.12]))
    parity = quotes.call - quotes.put
    assert parity == pytest.approx(spot[:, None] - strikes * np.exp(-0.065), abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"seed": -1}, "seed"),
        ({"date": "06-01-2026"}, "YYYY-MM-DD"),
        ({"products": ("DOW",)}, "no simulation of DOW: use NIFTY"),
        ({"products": ()}, "at least one"),
        ({"products": ("NIFTY", "NIFTY")}, "twice"),
        ({"chain_every_s": 0}, "chain_every_s"),
        ({"frame_ticks": 10_001}, "at most 10000"),
        ({"close_ms": OPEN}, "a second or more"),
        ({"session_label": ""}, "session_label"),
    ],
)
def test_a_configuration_that_cannot_be_is_a_usage_error(
    changes: dict[str, object], why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        replace(DEFAULT, **changes)  # type: ignore[arg-type]
