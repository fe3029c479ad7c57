"""The tick history set back on a real MongoDB: whoever writes late, each tick is read once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from optionstream.schemas import topics
from optionstream.schemas.documents import SINK_POSITIONS, TICK_RANGES
from optionstream.schemas.settings import Settings
from optionstream.streams.core.rules import Rules
from optionstream.streams.kafka.topic_ids import Topic
from optionstream.streams.sinks.history import tick_generations, tick_store
from optionstream.streams.sinks.history.collections import ensure_collections
from optionstream.streams.sinks.history.tick_generations import (
    partitions_of_other_topics,
    reset_ticks,
)
from optionstream.streams.sinks.history.tick_reading import raw_surplus
from optionstream.streams.sinks.history.tick_store import TickStore
from optionstream.streams.sinks.loop.contract import Assigned, StartAgain
from tests.harness.records import frame
from tests.harness.sink_world import World, world

pytestmark = pytest.mark.server


@pytest.fixture
def here(addresses: Any) -> Iterator[World]:
    with world(addresses) as made:
        ensure_collections(made.db)
        yield made


def store(here: World, topic_id: str = "a") -> tuple[TickStore, int]:
    """A tick store that was given partition 0, and where it goes on."""
    made = TickStore(here.db, Rules.of(here.namespace, Settings(data_dir=Path("/nonexistent"))))
    given = Assigned(topics.UNDERLYING, Topic("t", topic_id, 1), 0)
    return made, made.start_partitions([given])["t", 0]


def write(made: TickStore, *offsets: int) -> None:
    """One frame of ten ticks an offset, flushed."""
    add(made, *offsets)
    made.flush_rows()


def add(made: TickStore, *offsets: int) -> None:
    for offset in offsets:
        made.add_record(0, offset, frame(offset * 10, 10))


def test_from_the_offset_on_ticks_count_no_more_and_are_written_again(here: World) -> None:
    first, _ = store(here)
    write(first, 0, 1)
    write(first, 2, 3)
    write(store(here)[0], 4, 5)
    reset_ticks(here.db, "a", 0, 3)
    assert here.ticks() == list(range(30))
    heir, begin = store(here)
    assert begin == 3
    write(heir, 3, 4, 5, 6)
    assert here.ticks() == list(range(70))
    assert raw_surplus(here.db) == 30


def test_a_reset_forwards_leaves_what_is_there_and_skips_the_rest(here: World) -> None:
    write(store(here)[0], 0, 1)
    reset_ticks(here.db, "a", 0, 5)
    heir, begin = store(here)
    assert begin == 5
    write(heir, 5)
    assert here.ticks() == [*range(20), *range(50, 60)]


def test_a_reset_before_the_first_tick_sets_where_it_begins(here: World) -> None:
    fresh, _ = store(here)
    reset_ticks(here.db, "a", 0, 4)
    add(fresh, 0)
    with pytest.raises(StartAgain):  # it began before the reset
        fresh.flush_rows()
    assert store(here)[1] == 4


def test_a_late_writer_whose_position_comes_round_again_loses(here: World) -> None:
    zombie, _ = store(here)
    write(zombie, 0, 1)
    add(zombie, 2)
    reset_ticks(here.db, "a", 0, 0)
    heir, _ = store(here)
    write(heir, 0, 1)  # the position is where the zombie believes it to be
    with pytest.raises(StartAgain):
        zombie.flush_rows()
    write(heir, 2)
    assert here.ticks() == list(range(30))


def test_a_writer_frozen_between_position_and_range_cannot_bring_it_back(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    zombie, _ = store(here)
    write(zombie, 0)
    late: list[Any] = []
    with monkeypatch.context() as frozen:
        frozen.setattr(tick_store, "write_ranges", lambda db, positions: late.append(positions))
        write(zombie, 1)  # the position has moved, the range is still to come
    reset_ticks(here.db, "a", 0, 1)
    write(store(here)[0], 1, 2)
    with pytest.raises(StartAgain):
        zombie._write_ranges(late[0])
    assert here.ticks() == list(range(30))


@pytest.mark.parametrize("again", ["worker", "reset"])
def test_a_reset_that_was_interrupted_is_finished_by_whoever_comes_next(
    here: World, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    write(store(here)[0], 0, 1, 2)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(tick_generations, "_cut", killed)
        with pytest.raises(KeyboardInterrupt):
            reset_ticks(here.db, "a", 0, 1)
    assert here.ticks() == list(range(30))  # nothing is lost meanwhile
    if again == "reset":
        reset_ticks(here.db, "a", 0, 1)
    heir, begin = store(here)
    assert begin == 1
    assert here.ticks() == list(range(10))
    write(heir, 1, 2)
    assert here.ticks() == list(range(30))


def test_resets_follow_each_other(here: World) -> None:
    write(store(here)[0], *range(6))
    reset_ticks(here.db, "a", 0, 4)
    reset_ticks(here.db, "a", 0, 1)  # before anything was written again
    write(store(here)[0], *range(1, 6))
    assert here.ticks() == list(range(60))
    reset_ticks(here.db, "a", 0, 2)
    reset_ticks(here.db, "a", 0, 2)
    write(store(here)[0], *range(2, 6))
    assert here.ticks() == list(range(60))
    position = here.db[SINK_POSITIONS].find_one({}) or {}
    assert position["generation"] == 4 and "cut" not in position


def test_a_topic_made_anew_has_positions_of_its_own(here: World) -> None:
    write(store(here, "old")[0], 0, 1)
    reset_ticks(here.db, "old", 0, 1)
    heir, begin = store(here, "new")
    assert begin == tick_store.BEGINNING
    heir.add_record(0, 0, frame(500, 10))
    heir.flush_rows()
    reset_ticks(here.db, "new", 0, 0)
    assert here.ticks() == list(range(10))  # of the former topic
    assert partitions_of_other_topics(here.db, "new") == [("old", 0)]
    reset_ticks(here.db, "old", 0, 0)
    assert here.ticks() == []
    assert all(row["retired"] for row in here.db[TICK_RANGES].find())
