"""Writes to Redis in which the newer version wins, whoever writes and in whatever order.

The script (``newer_wins.lua``), its packed arguments, and the versions it compares. Whoever writes
such a key runs the same script: ``EVALSHA SHA len(keys) *keys argument`` for each call. No driver
is imported here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha1
from importlib import resources
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from optionstream.schemas.derived import Bar
from optionstream.schemas.redis_keys import GUARD_SUFFIX

SCRIPT: Final = (resources.files("optionstream.schemas") / "newer_wins.lua").read_text("utf-8")
SHA: Final = sha1(SCRIPT.encode()).hexdigest()
GUARD_MARGIN_S: Final = 2 * 86_400
"""How much longer a version is remembered than its key, seconds."""
_ENTRIES_A_CALL = 250
"""Redis does nothing else during a call: this many take about a millisecond."""
_SEQ_SHIFT = 1 << 63
_SEQ_TOP = (1 << 64) - 1
_pack = msgspec.msgpack.Encoder().encode

Scores = Mapping[str, Mapping[str, int]]
"""Sorted sets by full key: member → score, of which the higher stays."""


class Entry(Struct, frozen=True, gc=False):
    """One key to write, with its version and value.

    ``key`` and ``channel`` are full names. ``value`` is UTF-8: Redis's msgpack knows text, not
    bytes. ``lifetime_s`` 0 keeps the key for ever, and its version with it. A value that is written
    is also published on ``channel``, unless that is ''.
    """

    key: str
    version: str
    value: bytes
    lifetime_s: int = 0
    channel: str = ""


class Moves(NamedTuple):
    """Positions to move, in the hash ``key``: field → value expected there, new value."""

    key: str
    steps: Mapping[str, tuple[str, str]]


NO_MOVES: Final = Moves("", {})


class Call(NamedTuple):
    """Keys and packed argument of one run of the script, which returns how many values it wrote,
    or the field (bytes) of a position that differs from the expected value."""

    keys: list[str]
    argument: bytes


def tick_version(ts_ms: int, seq: int) -> str:
    """Return the version of a tick: event time, then order number.

    Versions are of fixed width, so that their order as text is that of what they version; order
    numbers beyond 64 bits count as the nearest that fits.
    """
    return f"{ts_ms:016d}:{min(max(seq + _SEQ_SHIFT, 0), _SEQ_TOP):020d}"


def bar_version(bar: Bar) -> str:
    """Return the version of the newest bar: start of its window, then its revision."""
    return f"{bar.start:016d}:{bar.version:020d}"


def pack_calls(entries: Sequence[Entry], newest: Scores, moves: Moves = NO_MOVES) -> Iterator[Call]:
    """Yield the calls that write the entries, at least one; scores and moves go with the last.

    The last has to follow once all others are done, so that no position passes a lost entry.
    """
    full = max(0, len(entries) - 1) // _ENTRIES_A_CALL * _ENTRIES_A_CALL
    for at in range(0, full, _ENTRIES_A_CALL):
        yield _pack_call(entries[at : at + _ENTRIES_A_CALL], {}, NO_MOVES)
    yield _pack_call(entries[full:], newest, moves)


def _pack_call(entries: Sequence[Entry], newest: Scores, moves: Moves) -> Call:
    """One packed argument for all: a client takes microseconds for each that it sends."""
    keys = [moves.key]
    values: list[str | int] = []
    for entry in entries:
        keys += (entry.key, entry.key + GUARD_SUFFIX)
        values += (entry.version, entry.value.decode(), entry.lifetime_s, entry.channel)
    scores: list[str | int] = []
    for number, (key, members) in enumerate(newest.items(), start=1):
        keys.append(key)
        for member, score in members.items():
            scores += (number, member, score)
    steps = [text for field, step in moves.steps.items() for text in (field, *step)]
    return Call(keys, _pack((values, scores, steps, GUARD_MARGIN_S)))
