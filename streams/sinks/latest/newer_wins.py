"""Run the script of ``schemas.newer_wins``, pipelined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis
from redis.exceptions import NoScriptError, ResponseError

from optionstream.schemas.newer_wins import (
    NO_MOVES,
    SCRIPT,
    SHA,
    Call,
    Entry,
    Moves,
    Scores,
    pack_calls,
)
from optionstream.streams.sinks.loop.contract import StartAgain


def write_newer(
    client: redis.Redis, entries: Sequence[Entry], newest: Scores, moves: Moves = NO_MOVES
) -> int:
    """Write the entries that are newer than what Redis holds; return how many were.

    The positions move along with the last entries, once all others are there: one round trip, two
    of many entries. Writing the same again changes nothing. Raises redis.RedisError; StartAgain
    when a position differs from what is expected, also because it was moved in a call whose answer
    was lost.
    """
    *first, last = pack_calls(entries, newest, moves)
    written = sum(_run_calls(client, first)) if first else 0
    return written + sum(_run_calls(client, [last]))


def position_differs(field: str) -> StartAgain:
    """Return the error for a position that is not where this worker left it."""
    return StartAgain(f"Redis position for {field} differs from what this worker wrote")


def _run_calls(client: redis.Redis, calls: Sequence[Call]) -> list[int]:
    """Return how many values each call wrote, in one round trip."""
    try:
        return _evaluate_calls(client, calls)
    except NoScriptError:
        client.script_load(SCRIPT)
        return _evaluate_calls(client, calls)


def _evaluate_calls(client: redis.Redis, calls: Sequence[Call]) -> list[int]:
    pipe = client.pipeline(transaction=False)
    for call in calls:
        pipe.evalsha(SHA, len(call.keys), *call.keys, call.argument)
    answers: list[Any] = pipe.execute(raise_on_error=False)
    for kind in (NoScriptError, ResponseError):
        for answer in answers:
            if isinstance(answer, kind):
                raise answer
    for answer in answers:
        if isinstance(answer, bytes):
            raise position_differs(answer.decode())
    return answers
