"""Writing to Redis so that the newer version wins, whoever writes and in whatever order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha1
from importlib import resources
from typing import Any, NamedTuple

import msgspec
import redis
from msgspec import Struct
from redis.exceptions import NoScriptError, ResponseError

from optionstream.schemas.redis_keys import GUARD_SUFFIX
from optionstream.streams.sinks.loop.contract import StartAgain

GUARD_MARGIN_S = 2 * 86_400
"""How long a version is remembered after its key has gone."""

_SCRIPT = (resources.files("optionstream.streams.sinks.latest") / "newer_wins.lua").read_text(
    "utf-8"
)
_SHA = sha1(_SCRIPT.encode()).hexdigest()
_pack = msgspec.msgpack.Encoder().encode
_ENTRIES_A_CALL = 250
"""Redis does nothing else during a call: this many take about a millisecond."""

Scores = Mapping[str, Mapping[str, int]]
"""Sorted sets by key: member → score, where the higher score stays."""


class Entry(Struct, frozen=True, gc=False):
    """One key to write. ``lifetime_s`` 0 keeps it for ever, and its version with it; ``channel``
    is told the value when it was written ('' tells nobody). Key and channel are full names. The
    value is UTF-8: Redis's msgpack knows text, not bytes."""

    key: str
    version: str
    value: bytes
    lifetime_s: int = 0
    channel: str = ""


class Moves(NamedTuple):
    """Positions to move on, of the hash ``key``: field → value expected there, new value."""

    key: str
    steps: Mapping[str, tuple[str, str]]


NO_MOVES = Moves("", {})


class _Call(NamedTuple):
    keys: list[str]
    told: bytes


def write_newer(
    client: redis.Redis, entries: Sequence[Entry], newest: Scores, moves: Moves = NO_MOVES
) -> int:
    """Write the entries that are newer than what Redis holds; returns how many were.

    The positions move along with the last entries, once all others are there: one round trip, two
    of many entries. Writing the same again changes nothing. Raises redis.RedisError; StartAgain
    when a position stands elsewhere than expected, also because it was moved in a call whose answer
    was lost.
    """
    *first, last = _calls(entries, newest, moves)
    written = sum(_run(client, first)) if first else 0
    return written + sum(_run(client, [last]))


def stands_elsewhere(field: str) -> StartAgain:
    """The error for a position that is not where its worker left it."""
    return StartAgain(f"Redis no longer stands where it was brought at {field}")


def _run(client: redis.Redis, calls: Sequence[_Call]) -> list[int]:
    """How many values each call wrote, in one round trip."""
    try:
        return _evaluate(client, calls)
    except NoScriptError:
        client.script_load(_SCRIPT)
        return _evaluate(client, calls)


def _evaluate(client: redis.Redis, calls: Sequence[_Call]) -> list[int]:
    pipe = client.pipeline(transaction=False)
    for call in calls:
        pipe.evalsha(_SHA, len(call.keys), *call.keys, call.told)
    answers: list[Any] = pipe.execute(raise_on_error=False)
    for kind in (NoScriptError, ResponseError):
        for answer in answers:
            if isinstance(answer, kind):
                raise answer
    for answer in answers:
        if isinstance(answer, bytes):
            raise stands_elsewhere(answer.decode())
    return answers


def _calls(entries: Sequence[Entry], newest: Scores, moves: Moves) -> Iterator[_Call]:
    """At least one; scores and moves go with the last."""
    full = max(0, len(entries) - 1) // _ENTRIES_A_CALL * _ENTRIES_A_CALL
    for at in range(0, full, _ENTRIES_A_CALL):
        yield _call(entries[at : at + _ENTRIES_A_CALL], {}, NO_MOVES)
    yield _call(entries[full:], newest, moves)


def _call(entries: Sequence[Entry], newest: Scores, moves: Moves) -> _Call:
    """One packed argument for all: the client takes microseconds for each that it sends."""
    keys = [moves.key]
    told: list[str | int] = []
    for entry in entries:
        keys += (entry.key, entry.key + GUARD_SUFFIX)
        told += (entry.version, entry.value.decode(), entry.lifetime_s, entry.channel)
    scores: list[str | int] = []
    for number, (key, members) in enumerate(newest.items(), start=1):
        keys.append(key)
        for member, score in members.items():
            scores += (number, member, score)
    steps = [text for field, step in moves.steps.items() for text in (field, *step)]
    return _Call(keys, _pack((told, scores, steps, GUARD_MARGIN_S)))
