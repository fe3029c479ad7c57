"""The arguments of the script that writes to Redis, and where the script is."""

from __future__ import annotations

from hashlib import sha1

import msgspec
import pytest

from optionstream.schemas.newer_wins import (
    GUARD_MARGIN_S,
    NO_MOVES,
    SCRIPT,
    SHA,
    Entry,
    Moves,
    pack_calls,
)


def entry(number: int) -> Entry:
    return Entry(f"key{number}", f"{number:04d}", b"{}", 60, "channel")


def test_keys_and_argument_are_in_the_order_that_the_script_reads() -> None:
    moves = Moves("positions", {"topic/0": ("id 1", "id 2")})
    (call,) = pack_calls([entry(1)], {"index": {"NIFTY": 7}, "more": {"x": 8}}, moves)
    assert call.keys == ["positions", "key1", "key1:version", "index", "more"]
    values, scores, steps, margin = msgspec.msgpack.decode(call.argument)
    assert values == ["0001", "{}", 60, "channel"]
    assert scores == [1, "NIFTY", 7, 2, "x", 8]
    assert steps == ["topic/0", "id 1", "id 2"]
    assert margin == GUARD_MARGIN_S


@pytest.mark.parametrize(("entries", "sizes"), [(0, [0]), (250, [250]), (251, [250, 1])])
def test_positions_move_with_the_last_call_alone(entries: int, sizes: list[int]) -> None:
    moves = Moves("positions", {"topic/0": ("id 1", "id 2")})
    calls = list(pack_calls([entry(at) for at in range(entries)], {"index": {"N": 1}}, moves))
    packed = [msgspec.msgpack.decode(call.argument) for call in calls]
    assert [len(values) // 4 for values, *_ in packed] == sizes
    assert [bool(steps) for _, _, steps, _ in packed] == [False] * (len(sizes) - 1) + [True]
    assert [bool(scores) for _, scores, *_ in packed] == [False] * (len(sizes) - 1) + [True]
    assert [call.keys[0] for call in calls] == [NO_MOVES.key] * (len(sizes) - 1) + ["positions"]


def test_the_name_of_the_script_is_its_hash() -> None:
    assert sha1(SCRIPT.encode()).hexdigest() == SHA
    assert "return written" in SCRIPT
