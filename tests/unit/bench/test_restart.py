"""The arithmetic of ``tests.bench.growth.restart``, and the ticks that come after a day."""

from __future__ import annotations

from itertools import pairwise

from optionstream.schemas.events import TickFrame
from tests.bench.growth.restart import GONE, HELD, Restarts, results
from tests.bench.growth.trickle import BEAT_S, ticks_after
from tests.bench.inputs import FIRST_DAY, PRODUCTS, SESSION_MS, records_of


def test_a_restart_is_held_against_that_of_bare_faust_by_its_median() -> None:
    ours = {HELD: [1.0, 9.0, 3.0], GONE: [4.0, 4.0, 4.0]}
    bare = {HELD: [1.0, 1.0, 1.0], GONE: [1.0, 1.0, 1.0]}
    held, gone, again = results(Restarts(4_000, 400, ours, bare, again=[0, 50]))

    assert "4,000 ticks" in held.name
    assert (held.ours, held.ratio, held.held) == (3_000.0, 3.0, True)
    assert (gone.ratio, gone.held) == (4.0, False)
    assert (again.ours, again.beside, again.held) == (50, 400, False)


def test_ticks_after_a_day_go_on_where_it_ended_one_a_beat_until_the_close() -> None:
    ticks = 8_000
    after = list(ticks_after(ticks))
    first = after[: len(PRODUCTS)]

    assert [one.product for one in first] == list(PRODUCTS)
    assert {one.seq for one in first} == {ticks // len(PRODUCTS) + 1}
    times = [one.ts_ms for one in after]
    assert {later - earlier for earlier, later in pairwise(times)} == {round(BEAT_S * 1_000)}
    assert times[-1] < FIRST_DAY.open_ms + SESSION_MS <= times[-1] + BEAT_S * 1_000
    day = records_of(ticks, 1_000, span_ms=times[0] - FIRST_DAY.open_ms)
    frames = [one for one in day if isinstance(one, TickFrame)]
    assert max(ts_ms for one in frames for ts_ms in one.ts_ms) < times[0]
    assert max(seq for one in frames for seq in one.seq or ()) == 2_000
