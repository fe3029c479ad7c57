"""However events are packed, cut, repeated, shuffled or interrupted, bars and gaps are the same."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optionstream.schemas.derived import INTERVAL_MS, INTERVALS, Bar, Gap
from optionstream.schemas.events import CandleFrame, Tick
from optionstream.streams.core.intake import Output
from optionstream.streams.core.ticks.partition import TickPartition
from tests.unit.streams.core.ticks.helpers import (
    AFTER,
    CLOSE,
    LATENESS_MS,
    MINUTE,
    OPEN,
    Event,
    beat,
    candles,
    canonical,
    finals,
    flat,
    frames_of,
    gaps,
    partition,
    record,
    rejects,
    restarted,
    tick,
)

BUSY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
DAY = 86_400_000


def wild_ticks(seed: int, count: int) -> list[Tick]:
    """A walk with everything in it: repeats, late ones, lost numbers, bad prices, other days, no
    volumes."""
    rng = random.Random(seed)
    now, volume, made = OPEN - 5_000, 1000, []
    seq = 0
    for _ in range(count):
        seq += rng.choice((1, 1, 1, 1, 1, 1, 2, 5))
        now += rng.choice((0, 1, 50, 400, 3_000, 20_000, 90_000))
        volume += rng.choice((0, 5, 100, -20))
        ts, price, number = now, round(25_000 + rng.gauss(0, 20), 2), seq
        dice = rng.random()
        if dice < 0.05:
            ts -= rng.choice((1_500, 3_000, 70_000, 400_000))
            number -= rng.choice((0, 1, 2, 20))
        elif dice < 0.07:
            ts += DAY
        elif dice < 0.08:
            price = -1.0
        elif dice < 0.09:
            ts = 4_200_000_000_000
        made.append(tick(ts, price, number, volume if rng.random() < 0.9 else None))
        if rng.random() < 0.05:
            made.append(rng.choice(made))
    return made


def wild_events(seed: int, sizes: Sequence[int]) -> list[Event]:
    """Wild ticks in frames of some sizes, with heartbeats and candles of any length between."""
    rng = random.Random(seed)
    events: list[Event] = []
    for frame in frames_of(wild_ticks(seed, 220), sizes):
        events.append(frame)
        dice = rng.random()
        if dice < 0.1:
            events.append(wild_candles(rng, frame.ts_ms[0]))
        elif dice < 0.2:
            events.append(beat(max(0, frame.ts_ms[0] + rng.choice((-9_000, 0, 5_000, 90_000)))))
    return [*events, beat(AFTER)]


def wild_candles(rng: random.Random, near: int) -> CandleFrame:
    length = rng.choice((1, 1, 2, 3, 5, 7, 15, 60, 1440))
    rows = []
    for _ in range(rng.randrange(1, 5)):
        start = near - (near - OPEN) % (length * MINUTE) + length * MINUTE * rng.randrange(-2, 2)
        start += rng.choice((0, 0, 0, 0, 0, 1_000, DAY))
        price = rng.choice((1.0, 25_000.0, 50_000.0, -1.0))
        rows.append(flat(start, price, rng.choice((None, 0, 7))))
    return candles(length, *rows, source=rng.choice("ab"))


def run(part: TickPartition, events: Iterable[Event], batch: int = 10_000) -> list[Output]:
    outputs: list[Output] = []
    records = [record(event, offset) for offset, event in enumerate(events)]
    for start in range(0, len(records), batch):
        outputs += part.apply(records[start : start + batch])
    return outputs


def derived(outputs: Sequence[Output]) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """The bars and the gaps that went out, in order."""
    return canonical(finals(outputs)), canonical(gaps(outputs))


def newest(records: Iterable[Bar | Gap]) -> dict[str, Bar | Gap]:
    """The last state of each bar or gap; revisions must have risen by 1 each."""
    last: dict[str, Bar | Gap] = {}
    for one in records:
        name = one.name if isinstance(one, Gap) else f"{one.interval}|{one.start}"
        before = last.get(name)
        assert one.revision == (before.revision + 1 if before else 1)
        last[name] = one
    return last


def totals(part: TickPartition) -> dict[str, int]:
    whole: dict[str, int] = {}
    for counts in part.counts():
        for name in ("accepted", "outside_session", "duplicates", "held"):
            whole[name] = whole.get(name, 0) + getattr(counts, name)
        for reason, events in [*counts.rejects.items(), *counts.outside.items()]:
            whole[reason] = whole.get(reason, 0) + events
    return dict(sorted(whole.items()))


@BUSY
@given(st.integers(0, 10_000), st.lists(st.integers(1, 60), min_size=1, max_size=4))
def test_packing_into_frames_changes_nothing(seed: int, sizes: list[int]) -> None:
    ticks = wild_ticks(seed, 250)
    single, packed = partition(), partition()
    one_by_one = run(single, [*ticks, beat(AFTER)], batch=1)
    in_frames = run(packed, [*frames_of(ticks, sizes), beat(AFTER)], batch=7)
    assert derived(one_by_one) == derived(in_frames)
    assert totals(single) == totals(packed)
    assert sum(r.events for r in rejects(one_by_one)) == sum(r.events for r in rejects(in_frames))


@BUSY
@given(
    st.lists(st.integers(1, 4_000), min_size=20, max_size=120),
    st.lists(st.integers(5, 60), min_size=1, max_size=3),
    st.sets(st.integers(0, 120), max_size=6),
    st.integers(0, 3_000),
)
def test_runs_of_orderly_ticks_give_what_single_ticks_give(
    steps: list[int], sizes: list[int], lost: set[int], lateness: int
) -> None:
    """Whole frames in order, of which some are lost: the fast way, bars and gaps in one order."""
    ts, ticks = OPEN, []
    for number, step in enumerate(steps):
        ts += step * (40 if number % 17 == 0 else 1)
        ticks.append(tick(ts, float(number + 1), number))
    frames = [frame for at, frame in enumerate(frames_of(ticks, sizes)) if at not in lost]
    singles = [
        tick(when, price, seq)
        for frame in frames
        for when, price, seq in zip(frame.ts_ms, frame.price, frame.seq, strict=True)
    ]
    apart, together = partition(lateness_ms=lateness), partition(lateness_ms=lateness)
    one_by_one = run(apart, [*singles, beat(AFTER)], batch=1)
    in_frames = run(together, [*frames, beat(AFTER)])
    assert derived(one_by_one) == derived(in_frames)
    assert apart.hot() == together.hot()


JUNK = [
    b"",
    b"{}",
    b"null",
    b'{"product":"NIFTY","ts_ms":1,"price":1},{"product":"NIFTY","ts_ms":2,"price":1}',
    b'{"product":"NIFTY",\n"ts_ms":1767671100000,"price":25000}',
    b'{"product":"NIFTY","ts_ms":1767671100000,"price":25000}\n',
    b'{"product":"nifty","ts_ms":1767671100000,"price":25000}',
    b'{"product":"BANKNIFTY","ts_ms":1767671100000,"price":25000}',
    b'{"product":"NIFTY","ts_ms":1767671100000,"price":25000,"source":"other"}',
    b'{"product":"NIFTY","ts_ms":1767671100001,"price":25000,"seq":7}',
]


@BUSY
@given(
    st.integers(0, 10_000),
    st.lists(st.tuples(st.integers(0, 200), st.sampled_from(JUNK)), max_size=3),
    st.integers(2, 90),
)
def test_reading_one_tick_records_in_bulk_changes_nothing(
    seed: int, junk: list[tuple[int, bytes]], batch: int
) -> None:
    records = [record(one, at) for at, one in enumerate(wild_ticks(seed, 200))]
    for at, value in junk:
        records[at] = records[at]._replace(value=value, headers=[])
    apart, together = partition(), partition()
    one_by_one = [out for one in records for out in apart.apply([one])]
    in_bulk = [
        out
        for start in range(0, len(records), batch)
        for out in together.apply(records[start : start + batch])
    ]
    assert derived(one_by_one) == derived(in_bulk)
    assert sorted(one.id for one in rejects(one_by_one)) == sorted(
        one.id for one in rejects(in_bulk)
    )
    assert apart.hot() == together.hot()


@BUSY
@given(st.integers(0, 10_000), st.lists(st.integers(1, 30), min_size=1, max_size=3))
def test_packing_candles_into_frames_changes_nothing(seed: int, sizes: list[int]) -> None:
    events = wild_events(seed, sizes)
    whole, cut = partition(), partition()
    expected, found = run(whole, events), run(cut, split(events), batch=1)
    assert derived(found) == derived(expected)
    assert totals(cut) == totals(whole)


def split(events: Iterable[Event]) -> list[Event]:
    """The same events with every candle in a frame of its own."""
    parts: list[Event] = []
    for event in events:
        if isinstance(event, CandleFrame):
            columns = (event.start_ms, event.open, event.high, event.low, event.close)
            volume = event.volume or [None] * len(event.start_ms)
            parts += [
                candles(
                    event.interval_ms // MINUTE, row, source=event.source, ts_recv=event.ts_recv
                )
                for row in zip(*columns, volume, strict=True)
            ]
        else:
            parts.append(event)
    return parts


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10_000), st.sampled_from([[1, 3, 20], [40], [7]]))
def test_stopping_and_restoring_after_every_record_changes_nothing(
    seed: int, sizes: list[int]
) -> None:
    whole, stopped = partition(), partition()
    stored: dict[str, bytes] = {}
    expected: list[Output] = []
    outputs: list[Output] = []
    for offset, event in enumerate(wild_events(seed, sizes)):
        expected += whole.apply([record(event, offset)])
        whole.take_segments()
        outputs += stopped.apply([record(event, offset)])
        stopped = restarted(stopped, stored)
        assert stopped.hot() == whole.hot()
    assert derived(outputs) == derived(expected)
    assert totals(stopped) == totals(whole)


def test_what_was_seen_is_known_after_a_restart_in_open_and_in_ended_minutes() -> None:
    nameless = [Tick(product="NIFTY", ts_ms=OPEN + i * MINUTE, price=1.0) for i in (0, 2)]
    rows = [candles(1, flat(OPEN + i * MINUTE)) for i in (0, 2)]
    numbered = [tick(OPEN + i * MINUTE, 1.0, i) for i in (0, 2)]
    events = [*nameless, *rows, *numbered]
    part = partition()
    run(part, events)
    assert totals(part)["accepted"] == len(events)
    part = restarted(part, {})
    run(part, events)
    assert totals(part)["duplicates"] == len(events)


@BUSY
@given(st.integers(0, 10_000), st.lists(st.integers(1, 249), max_size=3))
def test_stopping_and_restoring_anywhere_changes_nothing(seed: int, stops: list[int]) -> None:
    events = wild_events(seed, [1, 3, 20])
    whole, stopped = partition(), partition()
    expected = run(whole, events)
    stored: dict[str, bytes] = {}
    outputs: list[Output] = []
    for offset, event in enumerate(events):
        outputs += stopped.apply([record(event, offset)])
        if offset in stops:
            stopped = restarted(stopped, stored)
    assert derived(outputs) == derived(expected)
    assert totals(stopped) == totals(whole)


@BUSY
@given(st.integers(0, 10_000), st.integers(1, 50))
def test_any_order_within_lateness_and_any_repetition_gives_the_same_bars_and_gaps(
    seed: int, size: int
) -> None:
    rng = random.Random(seed)
    times = sorted(OPEN + 137 * i * rng.randint(1, 9) for i in range(1, 200))
    numbers = [i for i in range(1, 260) if rng.random() < 0.9]
    # Numbers rise with time: what is missing is then the same in any order.
    ticks = [
        tick(ts, round(25_000 + rng.gauss(0, 5), 2), number, 10 * number)
        for ts, number in zip(times, numbers, strict=False)
    ]
    shuffled = sorted(ticks, key=lambda one: one.ts_ms + rng.randint(0, LATENESS_MS - 1))
    repeated = [one for one in shuffled for _ in range(rng.choice((1, 1, 1, 3)))]
    # Two events confirm the session before shuffling starts to matter.
    begin = [tick(OPEN, 25_000.0, 0, 0), tick(OPEN, 25_000.0, 0, 0, source="another")]
    straight = run(partition(), [*begin, *ticks, beat(AFTER)])
    crooked = run(partition(), [*begin, *frames_of(repeated, [size]), beat(AFTER)])
    assert derived(straight) == derived(crooked)


def brute_force(ticks: list[Tick], interval: str) -> dict[int, tuple[float, ...]]:
    """Open, high, low, close, count of each window, the plain way."""
    length = INTERVAL_MS[interval]
    windows: dict[int, list[float]] = {}
    for one in sorted(ticks, key=lambda one: (one.ts_ms, one.seq or 0)):
        start = OPEN + (one.ts_ms - OPEN) // length * length
        windows.setdefault(start, []).append(one.price)
    return {s: (p[0], max(p), min(p), p[-1], len(p)) for s, p in windows.items()}


def silences(ticks: list[Tick]) -> set[tuple[int, int]]:
    """The silences of the day, the plain way: between neighbours, the open and the close."""
    times = sorted({OPEN, CLOSE, *(one.ts_ms for one in ticks)})
    return {(a, b) for a, b in pairwise(times) if b - a > MINUTE}


@BUSY
@given(st.integers(0, 10_000), st.integers(1, 80))
def test_the_last_revision_of_all_equals_a_plain_batch(seed: int, size: int) -> None:
    rng = random.Random(seed)
    ticks = [
        tick(OPEN + rng.randrange(22_500_000), round(25_000 + rng.gauss(0, 5), 2), i)
        for i in range(1, 300)
        if rng.random() < 0.6
    ]
    out = run(partition(), [*frames_of(ticks, [size]), beat(AFTER)])
    last = newest(finals(out))
    for interval in INTERVALS:
        got = {
            b.start: (b.open, b.high, b.low, b.close, b.ticks)
            for b in last.values()
            if isinstance(b, Bar) and b.interval == interval
        }
        assert got == brute_force(ticks, interval)
    told = [one for one in newest(gaps(out)).values() if isinstance(one, Gap)]
    open_ = [one for one in told if not one.filled]
    assert {(one.start, one.end) for one in open_ if one.kind == "silence"} == silences(ticks)
    numbers = {one.seq or 0 for one in ticks}
    missing = [n for one in open_ for low, high in one.missing for n in range(low, high + 1)]
    assert len(missing) == len(set(missing))
    assert set(missing) == set(range(min(numbers), max(numbers))) - numbers


@BUSY
@given(st.integers(0, 10_000), st.integers(1, 40))
def test_minute_candles_made_of_ticks_give_the_bars_of_the_ticks(seed: int, size: int) -> None:
    rng = random.Random(seed)
    count = rng.choice((5, 50, 400))
    ticks = [
        tick(OPEN + rng.randrange(22_500_000), round(25_000 + rng.gauss(0, 5), 2), i)
        for i in range(1, count)
    ]
    rows = [
        (start, open_, high, low, close, None)
        for start, (open_, high, low, close, _) in sorted(brute_force(ticks, "1m").items())
    ]
    rng.shuffle(rows)
    frames = [candles(1, *rows[at : at + size]) for at in range(0, len(rows), size)]
    from_ticks = newest(finals(run(partition(), [*frames_of(ticks, [50]), beat(AFTER)])))
    from_candles = newest(finals(run(partition(), [*frames, beat(AFTER)])))
    prices = ("start", "end", "open", "high", "low", "close")

    def of(bars: dict[str, Bar | Gap]) -> dict[str, list[object]]:
        return {key: [getattr(bar, name) for name in prices] for key, bar in bars.items()}

    assert of(from_ticks) == of(from_candles)


@pytest.mark.parametrize("size", [1, 1000])
def test_hot_state_stays_small_over_a_day(size: int) -> None:
    ticks = [tick(OPEN + 250 * i, 25_000.0 + i % 7, i + 1, i) for i in range(80_000)]
    part = partition()
    for start in range(0, len(ticks), 8_000):
        run(part, frames_of(ticks[start : start + 8_000], [size]))
        part.take_segments()
    assert len(part.hot()) < 8_000
