"""However ticks are packed, cut, repeated, shuffled or interrupted, the bars are the same."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optionstream.schemas.derived import INTERVAL_MS, Bar
from optionstream.schemas.events import Heartbeat, Tick
from optionstream.streams.core.tick_partition import TickPartition
from tests.unit.core.helpers import (
    AFTER,
    LATENESS_MS,
    OPEN,
    canonical,
    finals,
    frames_of,
    partition,
    record,
    rejects,
    tick,
)

BUSY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def wild_ticks(seed: int, count: int) -> list[Tick]:
    """A walk with everything in it: repeats, late ones, bad prices, other days, no volumes."""
    rng = random.Random(seed)
    now, volume, made = OPEN - 5_000, 1000, []
    for seq in range(1, count + 1):
        now += rng.choice((0, 1, 50, 400, 3_000, 20_000, 90_000))
        volume += rng.choice((0, 5, 100, -20))
        ts, price = now, round(25_000 + rng.gauss(0, 20), 2)
        dice = rng.random()
        if dice < 0.05:
            ts -= rng.choice((1_500, 3_000, 70_000, 400_000))
        elif dice < 0.07:
            ts += 86_400_000
        elif dice < 0.08:
            price = -1.0
        elif dice < 0.09:
            ts = 4_200_000_000_000
        made.append(tick(ts, price, seq, volume if rng.random() < 0.9 else None))
        if rng.random() < 0.05:
            made.append(rng.choice(made))
    return made


def run(part: TickPartition, events: list, batch: int = 10_000) -> list:  # type: ignore[type-arg]
    outputs = []
    records = [record(event, offset) for offset, event in enumerate(events)]
    for start in range(0, len(records), batch):
        outputs += part.apply(records[start : start + batch])
    return outputs


def totals(part: TickPartition) -> dict[str, object]:
    whole: dict[str, int] = {}
    for counts in part.counts():
        for name in ("accepted", "outside_session", "duplicates", "held"):
            whole[name] = whole.get(name, 0) + getattr(counts, name)
        for reason, events in counts.rejects.items():
            whole[reason] = whole.get(reason, 0) + events
    return dict(sorted(whole.items()))


@BUSY
@given(st.integers(0, 10_000), st.lists(st.integers(1, 60), min_size=1, max_size=4))
def test_packing_into_frames_changes_nothing(seed: int, sizes: list[int]) -> None:
    ticks = wild_ticks(seed, 250)
    close = Heartbeat(product="NIFTY", source="s", ts_event=AFTER, ts_recv=AFTER)
    single, packed = partition(), partition()
    one_by_one = run(single, [*ticks, close], batch=1)
    in_frames = run(packed, [*frames_of(ticks, sizes), close], batch=7)
    assert canonical(finals(one_by_one)) == canonical(finals(in_frames))
    assert totals(single) == totals(packed)
    assert sum(r.events for r in rejects(one_by_one)) == sum(r.events for r in rejects(in_frames))


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
    assert canonical(finals(one_by_one)) == canonical(finals(in_bulk))
    assert sorted(one.id for one in rejects(one_by_one)) == sorted(
        one.id for one in rejects(in_bulk)
    )
    assert apart.hot() == together.hot()


@BUSY
@given(st.integers(0, 10_000), st.lists(st.integers(1, 249), max_size=3))
def test_stopping_and_restoring_anywhere_changes_nothing(seed: int, stops: list[int]) -> None:
    ticks = wild_ticks(seed, 250)
    frames = frames_of(ticks, [1, 3, 20])
    whole, stopped = partition(), partition()
    expected = run(whole, frames)
    stored: dict[str, bytes] = {}
    outputs = []
    for offset, frame in enumerate(frames):
        outputs += stopped.apply([record(frame, offset)])
        for name, data in stopped.take_segments().items():
            if data is None:
                stored.pop(name)
            else:
                stored[name] = data
        if offset in stops:
            hot = stopped.hot()
            stopped = partition()
            stopped.restore(hot, dict(stored))
    assert canonical(finals(outputs)) == canonical(finals(expected))
    assert totals(stopped) == totals(whole)
    assert stopped.hot() == whole.hot()


@BUSY
@given(st.integers(0, 10_000), st.integers(1, 50), st.booleans())
def test_any_order_within_lateness_and_any_repetition_gives_the_same_final_bars(
    seed: int, size: int, named: bool
) -> None:
    rng = random.Random(seed)
    ticks = [
        tick(OPEN + 137 * i * rng.randint(1, 9), round(25_000 + rng.gauss(0, 5), 2), i, 10 * i)
        for i in range(1, 200)
    ]
    ticks.sort(key=lambda one: (one.ts_ms, one.seq or 0))
    shuffled = sorted(ticks, key=lambda one: one.ts_ms + rng.randint(0, LATENESS_MS - 1))
    repeated = [one for one in shuffled for _ in range(rng.choice((1, 1, 1, 3)))]
    close = Heartbeat(product="NIFTY", source="s", ts_event=AFTER, ts_recv=AFTER)
    # Two events confirm the session before shuffling starts to matter.
    begin = [tick(OPEN, 25_000.0, 900, 0), tick(OPEN, 25_000.0, 901, 0)]
    straight = finals(run(partition(), [*begin, *ticks, close]))
    crooked = finals(run(partition(), [*begin, *frames_of(repeated, [size]), close]))
    assert canonical(straight) == canonical(crooked)


def brute_force(ticks: list[Tick], interval: str) -> dict[int, tuple[float, ...]]:
    """Open, high, low, close, count of each window, the plain way."""
    length, windows = INTERVAL_MS[interval], {}
    for one in sorted(ticks, key=lambda one: (one.ts_ms, one.seq or 0)):
        start = OPEN + (one.ts_ms - OPEN) // length * length
        windows.setdefault(start, []).append(one.price)
    return {s: (p[0], max(p), min(p), p[-1], len(p)) for s, p in windows.items()}


@BUSY
@given(st.integers(0, 10_000), st.integers(1, 80))
def test_the_last_revision_of_each_bar_equals_a_plain_batch(seed: int, size: int) -> None:
    rng = random.Random(seed)
    ticks = [
        tick(OPEN + rng.randrange(22_500_000), round(25_000 + rng.gauss(0, 5), 2), i)
        for i in range(1, 150)
    ]
    close = Heartbeat(product="NIFTY", source="s", ts_event=AFTER, ts_recv=AFTER)
    newest: dict[tuple[str, int], Bar] = {}
    for bar in finals(run(partition(), [*frames_of(ticks, [size]), close])):
        before = newest.get((bar.interval, bar.start))
        assert bar.revision == (before.revision + 1 if before else 1)
        newest[bar.interval, bar.start] = bar
    for interval in INTERVAL_MS:
        got = {
            start: (b.open, b.high, b.low, b.close, b.ticks)
            for (name, start), b in newest.items()
            if name == interval
        }
        assert got == brute_force(ticks, interval)


@pytest.mark.parametrize("size", [1, 1000])
def test_hot_state_stays_small_over_a_day(size: int) -> None:
    ticks = [tick(OPEN + 250 * i, 25_000.0 + i % 7, i + 1, i) for i in range(80_000)]
    part = partition()
    for start in range(0, len(ticks), 8_000):
        run(part, frames_of(ticks[start : start + 8_000], [size]))
        part.take_segments()
    assert len(part.hot()) < 8_000
