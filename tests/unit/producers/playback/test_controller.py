"""What a replay publishes under which commands, without a server and without time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optionstream.producers.playback import Controller
from optionstream.schemas.errors import ReplayRefused
from optionstream.schemas.events import TickFrame
from optionstream.schemas.replays import Action, Command, State
from tests.unit.producers.playback.support import NEVER, World, always_open, beat, frame

PAUSE, RESUME, STOP = (Command(one) for one in (Action.PAUSE, Action.RESUME, Action.STOP))
SECOND = 1_000
TICKS = [frame(*range(at, at + 10 * SECOND, SECOND)) for at in range(0, 60 * SECOND, 10 * SECOND)]
ALL = list(range(0, 60 * SECOND, SECOND))


def step(events: int) -> Command:
    return Command(Action.STEP, events)


def seek(to_ms: int) -> Command:
    return Command(Action.SEEK, to_ms)


def speed(factor: float | None) -> Command:
    return Command(Action.SPEED, factor)


def test_at_full_speed_events_go_out_as_they_are_and_nobody_waits() -> None:
    world = World(TICKS)
    assert [event for _, event in world.sent] == TICKS
    assert world.now_s == 100.0
    assert world.controller.state is State.RUNNING
    assert world.controller.clock_ms == 59 * SECOND
    assert world.flushed == len(TICKS)


def test_at_a_pace_rows_go_out_when_their_time_has_come_not_before() -> None:
    world = World(TICKS, speed=2)
    assert world.stamps == ALL
    for second, event in world.sent:
        assert isinstance(event, TickFrame)
        assert event.ts_ms[-1] <= second * 2 * SECOND + 1e-6
    assert world.now_s == pytest.approx(100 + 59 / 2, abs=0.2)


def test_closed_hours_are_not_waited_for() -> None:
    def open_ms(start_ms: int, end_ms: int) -> int:
        """Closed from 10 s to 10,000 s."""
        closed = max(0, min(end_ms, 10_000 * SECOND) - max(start_ms, 10 * SECOND))
        return max(0, end_ms - start_ms) - closed

    world = World([beat(0), beat(10 * SECOND), beat(10_002 * SECOND)], 1, open_ms=open_ms)
    assert [second for second, _ in world.sent] == pytest.approx([0, 10, 12], abs=0.2)


def test_paused_nothing_goes_out_and_what_was_published_is_flushed() -> None:
    world = World(TICKS, commands={2: [PAUSE]})
    assert world.stamps == ALL[:20]
    assert world.looks > NEVER
    assert world.flushed == len(world.sent)
    assert world.answers[0].ok and "1970-01-01T05:30:19" in world.answers[0].text


def test_resumed_the_pace_goes_on_from_where_it_was() -> None:
    """Ten looks of a tenth of a second in the pause: time lost is not caught up. The second under
    way is waited for anew."""
    world = World(TICKS, speed=1, commands={30: [PAUSE], 40: [RESUME]})
    assert world.stamps == ALL
    assert world.now_s == pytest.approx(100 + 59 + 1, abs=1)


def test_steps_count_events_and_cut_frames_and_heartbeats_go_along() -> None:
    events = [beat(0), frame(0, 1, 2, 3, 4), beat(5), frame(6, 7)]
    world = World(events, commands={0: [PAUSE, step(3)], 20: [step(3)]})
    assert [len(e.ts_ms) if isinstance(e, TickFrame) else 0 for _, e in world.sent] == [
        0, 3, 2, 0, 1,
    ]  # fmt: skip
    assert world.controller.clock_ms == 6


def test_a_step_of_a_running_replay_is_refused() -> None:
    world = World(TICKS, speed=1, commands={3: [step(1)]})
    assert [answer.ok for answer in world.answers] == [False]
    assert "Pause it first" in world.answers[0].text
    assert world.stamps == ALL


def test_a_seek_of_a_paused_replay_publishes_up_to_the_instant_at_once_and_stays_paused() -> None:
    world = World(TICKS, speed=1, commands={0: [PAUSE, seek(25 * SECOND)]})
    assert world.stamps == ALL[:26]
    assert {second for second, _ in world.sent} == {0.0}
    assert world.states[-1] is State.PAUSED
    assert world.controller.clock_ms == 25 * SECOND


def test_a_seek_of_a_running_replay_goes_on_at_its_pace_from_there() -> None:
    world = World(TICKS, speed=1, commands={0: [seek(50 * SECOND + 500)]})
    assert world.stamps == ALL
    assert world.sent[-1][0] == pytest.approx(8.5, abs=0.2)


def test_the_clock_of_a_seek_into_a_quiet_time_is_the_instant_itself() -> None:
    world = World([beat(0), beat(100)], commands={0: [PAUSE, seek(50)]})
    assert world.stamps == [0]
    assert world.controller.clock_ms == 50


def test_a_seek_back_is_refused_with_the_remedy() -> None:
    world = World(TICKS, commands={3: [PAUSE, seek(5 * SECOND)]})
    no = world.answers[1]
    assert not no.ok
    assert "Start a new replay" in no.text


def test_a_pause_ends_a_seek() -> None:
    controller = Controller(None, always_open)
    controller.take(seek(50 * SECOND), 0)
    assert controller.state is State.SEEKING
    controller.take(PAUSE, 0)
    assert controller.rows_due([0, 1], 0) == 0
    assert controller.state is State.PAUSED


def test_the_speed_can_be_changed_and_counts_from_now_on() -> None:
    beats = [beat(at * SECOND) for at in range(101)]
    slow, faster = World(beats, 1), World(beats, 1, commands={200: [speed(10)]})
    at_change = slow.times[200]
    left_s = slow.now_s - at_change
    assert faster.now_s == pytest.approx(at_change + left_s / 10, abs=1)
    assert World(TICKS, 1, commands={10: [speed(None)]}).now_s == pytest.approx(101, abs=0.2)


def test_stop_ends_it_where_it_is() -> None:
    world = World(TICKS, commands={2: [STOP]})
    assert world.stamps == ALL[:20]
    assert world.controller.state is State.STOPPED


def test_a_replay_into_a_namespace_that_held_records_takes_nothing_but_stop() -> None:
    world = World(TICKS, fixed="held already", commands={0: [PAUSE, seek(1), speed(2)], 3: [STOP]})
    assert [answer.ok for answer in world.answers] == [False] * 3 + [True]
    assert world.answers[0].text == "held already"
    assert world.stamps == ALL[:30]


@pytest.mark.parametrize(
    ("action", "value"),
    [
        (Action.STEP, None), (Action.STEP, 0), (Action.STEP, 1.5), (Action.SEEK, None),
        (Action.SEEK, -1), (Action.SPEED, 0), (Action.SPEED, float("nan")),
        (Action.SPEED, float("inf")), (Action.PAUSE, 1),
    ],
)  # fmt: skip
def test_a_value_that_an_action_cannot_have_is_refused(action: Action, value: float | None) -> None:
    with pytest.raises(ReplayRefused):
        Command.checked(action, value)


def test_time_left_is_open_time_at_the_pace() -> None:
    controller = Controller(2, always_open)
    assert controller.left_s(10_000) is None
    controller.passed(4_000, 1)
    assert controller.left_s(10_000) == 3
    controller.take(PAUSE, 0)
    assert controller.left_s(10_000) is None


# -- any commands at any time -----------------------------------------------------------------

stamps = st.lists(st.integers(0, 60 * SECOND), min_size=1, max_size=6)
events = st.lists(st.one_of(st.integers(0, 60 * SECOND).map(beat), stamps.map(lambda s: frame(*s))))
commands = st.one_of(
    st.sampled_from([PAUSE, RESUME]),
    st.integers(1, 20).map(step),
    st.integers(0, 70 * SECOND).map(seek),
    st.one_of(st.none(), st.floats(0.5, 1000)).map(speed),
)
schedules = st.dictionaries(st.integers(0, 60), st.lists(commands, max_size=3), max_size=12)


@settings(max_examples=150, deadline=None)
@given(events, st.one_of(st.none(), st.floats(0.5, 1000)), schedules)
def test_whatever_is_told_every_row_goes_out_once_and_in_order(
    given_events: list[TickFrame], factor: float | None, told: dict[int, list[Command]]
) -> None:
    told = {**told, 100: [RESUME, speed(None)]}
    world = World(given_events, factor, commands=told)  # type: ignore[arg-type]
    assert world.stamps == World(given_events).stamps
    assert world.controller.state is not State.STOPPED


@settings(max_examples=150, deadline=None)
@given(events, st.one_of(st.none(), st.floats(0.5, 1000)), schedules)
def test_the_clock_never_falls_and_nothing_lies_beyond_it(
    given_events: list[TickFrame], factor: float | None, told: dict[int, list[Command]]
) -> None:
    world = World(given_events, factor, commands={**told, 80: [STOP]})  # type: ignore[arg-type]
    clocks = [clock for clock in world.clocks if clock is not None]
    assert clocks == sorted(clocks)
    if world.stamps:
        assert max(world.stamps) <= clocks[-1]


@settings(max_examples=100, deadline=None)
@given(events, st.integers(0, 60 * SECOND))
def test_after_a_seek_exactly_the_rows_before_the_first_later_one_are_out(
    given_events: list[TickFrame], to_ms: int
) -> None:
    world = World(given_events, 1, commands={0: [PAUSE, seek(to_ms)]})  # type: ignore[arg-type]
    whole = World(given_events).stamps
    later = next((n for n, stamp in enumerate(whole) if stamp > to_ms), len(whole))
    assert world.stamps == whole[:later]
