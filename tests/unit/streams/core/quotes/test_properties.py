"""However quotes are packed, repeated or shuffled within lateness, the chains are the same."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optionstream.streams.core.quotes.assembly import ExpiryQuotes
from optionstream.streams.core.quotes.book import Assembled, Book
from optionstream.streams.core.quotes.rows import quotes_of
from tests.unit.streams.core.quotes.quoting import (
    CLOSE,
    Told,
    begun,
    ended,
    frame,
    leg,
    some_told,
    told,
    wild_quotes,
)
from tests.unit.streams.core.ticks.helpers import LATENESS_MS, OPEN

BUSY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
CADENCES = st.sampled_from((0, 250, 1_000, 7_000))


def tame_quotes(seed: int, count: int = 120) -> list[Told]:
    """Quotes of one session in order of time and number, several of one millisecond."""
    rng = random.Random(seed)
    now, made = 0, []
    for seq in range(1, count + 1):
        now += rng.choice((0, 0, 1, 40, 300, 999, 1_000, 4_000))
        made.append(some_told(rng, now, seq))
    return made


def run(quotes: ExpiryQuotes, made: Sequence[Told], sizes: Sequence[int]) -> list[Assembled]:
    """The chains of quotes cut into frames of the sizes, over and over."""
    chains: list[Assembled] = []
    start, turn = 0, 0
    while start < len(made):
        size = sizes[turn % len(sizes)]
        # What was received when is no matter of packing: here everything at once.
        one = frame(*made[start : start + size], ts_recv=CLOSE)
        chains += quotes.apply_frame(one, turn).chains
        start, turn = start + size, turn + 1
    return chains


@BUSY
@given(st.integers(0, 10_000), st.lists(st.integers(1, 40), min_size=1, max_size=4), CADENCES)
def test_packing_into_frames_changes_nothing(seed: int, sizes: list[int], cadence: int) -> None:
    made = wild_quotes(seed)
    single, packed = begun(cadence), begun(cadence)
    assert run(single, made, [1]) == run(packed, made, sizes)
    assert single.counts == packed.counts
    assert ended(single) == ended(packed)


@BUSY
@given(st.integers(0, 10_000), st.lists(st.integers(1, 40), min_size=1, max_size=4), CADENCES)
def test_any_order_within_lateness_and_any_repetition_gives_the_same_chains(
    seed: int, sizes: list[int], cadence: int
) -> None:
    rng = random.Random(seed)
    made = tame_quotes(seed)
    shuffled = sorted(made, key=lambda one: one.ts + rng.randint(0, LATENESS_MS))
    repeated = [one for one in shuffled for _ in range(rng.choice((1, 1, 1, 3)))]
    repeated += rng.sample(made, 20)
    straight, crooked = begun(cadence), begun(cadence)
    expected = run(straight, made, [1]) + ended(straight)
    assert run(crooked, repeated, sizes) + ended(crooked) == expected
    assert crooked.counts.duplicates == len(repeated) - len(made)


def arrivals(made: Sequence[Told], cadence: int) -> Iterator[tuple[int, list[Told]]]:
    """The plain way: each boundary that is reached, and the quotes that take part from there on."""
    watermark, waiting, times = -LATENESS_MS, [], {0}
    for one in made:
        ts = one.ts - OPEN
        waiting.append(one)
        if ts >= watermark:
            times.add(ts)
        reached = max(watermark, ts - LATENESS_MS)
        if cadence:
            first = (watermark // cadence + 1) * cadence
            boundaries = list(range(first, reached + 1, cadence))
        else:
            boundaries = [time + 1 for time in sorted(times) if watermark < time + 1 <= reached]
        for boundary in boundaries:
            part = [quote for quote in waiting if quote.ts - OPEN < boundary]
            waiting = [quote for quote in waiting if quote.ts - OPEN >= boundary]
            if part:
                yield boundary, part
        watermark = reached
    if waiting:
        yield CLOSE - OPEN, waiting


@BUSY
@given(st.integers(0, 10_000), CADENCES)
def test_each_chain_holds_what_a_plain_batch_finds_in_the_quotes_so_far(
    seed: int, cadence: int
) -> None:
    rng = random.Random(seed)
    made = tame_quotes(seed, 60)
    made.sort(key=lambda one: one.ts + rng.choice((0, 0, 0, 1_500, 3_000, 30_000)))
    opening = [told(0, -2, 25_000.0, "CE"), told(0, -1, 25_000.0, "PE")]
    quotes = begun(cadence)
    chains = run(quotes, made, [7]) + ended(quotes)
    expected = list(arrivals([*opening, *made], cadence))
    assert [one.chain.ts_event - OPEN for one in chains] == [moment for moment, _ in expected]
    so_far: list[Told] = []
    for (chain, oldest_leg_ms), (moment, part) in zip(chains, expected, strict=True):
        so_far = sorted([*so_far, *part], key=lambda one: (one.ts, one.seq))
        newest = {(one.strike, one.kind): one for one in so_far}
        assert chain.strikes == sorted({one.strike for one in so_far})
        assert oldest_leg_ms == OPEN + moment - min(one.ts for one in newest.values())
        prices = [p for one in so_far if (p := one.figures.get("underlying_price"))]
        assert chain.underlying_price == (prices[-1] if prices else None)
        for strike, kind in newest:
            own = [one.figures for one in so_far if (one.strike, one.kind) == (strike, kind)]
            merged = {name: value for figures in own for name, value in figures.items()}
            merged.pop("underlying_price", None)
            shown = {name: value for name, value in merged.items() if value}
            assert leg(chain, strike, kind) == shown


@BUSY
@given(st.integers(0, 10_000), st.integers(1, 60))
def test_the_quotes_that_still_tell_something_make_the_book_again(seed: int, count: int) -> None:
    rng = random.Random(seed)
    units = {unit: frame(*tame_quotes(seed, count), oi_unit=unit) for unit in ("lots", "shares")}
    every = [one for n, each in enumerate(units.values()) for one in quotes_of(each, n)]
    rng.shuffle(every)
    book, again = Book(), Book()
    for one in every:
        book.apply_quote(one)
    for one in book.quotes():
        again.apply_quote(one)
    again.last_recv = book.last_recv
    assert len(book.quotes()) <= min(len(every), 8 * 8 + 1)
    assert again.quotes() == book.quotes()
    assert again.chain("NIFTY", "2026-01-13", CLOSE) == book.chain("NIFTY", "2026-01-13", CLOSE)
