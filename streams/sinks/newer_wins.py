"""Writing to Redis so that the newer version wins, whoever writes and in whatever order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha1
from importlib import resources
from itertools import islice
from typing import Any

import msgspec
import redis
from msgspec import Struct
from redis.exceptions import NoScriptError, ResponseError

from optionstream.schemas.redis_keys import GUARD_SUFFIX

GUARD_MARGIN_S = 2 * 86_400
"""How long a version is remembered after its key has gone."""

_SCRIPT = (resources.files("optionstream.streams.sinks") / "newer_wins.lua").read_text("utf-8")
_SHA = sha1(_SCRIPT.encode()).hexdigest()
_pack = msgspec.msgpack.Encoder().encode
_ENTRIES_A_CALL = 250
"""Redis does nothing else during a call: this many take about a millisecond."""


class Entry(Struct, frozen=True, gc=False):
    """One key to write. ``lifetime_s`` 0 keeps it for ever, and its version with it; ``channel``
    is told the value when it was written ('' tells nobody). Key and channel are full names. The
    value is UTF-8: Redis's msgpack knows text, not bytes."""

    key: str
    version: str
    value: bytes
    lifetime_s: int = 0
    channel: str = ""


def write_newer(
    client: redis.Redis, entries: Sequence[Entry], newest: Mapping[str, Mapping[str, int]]
) -> int:
    """Write the entries that are newer than what Redis holds; returns how many were.

    ``newest`` are sorted sets by key: member → score, where the higher score stays. One round
    trip; repeating it changes nothing. Raises redis.RedisError.
    """
    try:
        return _write(client, entries, newest)
    except NoScriptError:
        client.script_load(_SCRIPT)
        return _write(client, entries, newest)


def _write(
    client: redis.Redis, entries: Sequence[Entry], newest: Mapping[str, Mapping[str, int]]
) -> int:
    pipe = client.pipeline(transaction=False)
    calls = 0
    for chunk in _chunks(entries, _ENTRIES_A_CALL):
        keys = [name for entry in chunk for name in (entry.key, entry.key + GUARD_SUFFIX)]
        pipe.evalsha(_SHA, len(keys), *keys, _packed(chunk), GUARD_MARGIN_S)
        calls += 1
    for key, members in newest.items():
        pipe.zadd(key, dict(members), gt=True)
    answers: list[Any] = pipe.execute(raise_on_error=False)
    for answer in answers:
        if isinstance(answer, NoScriptError):
            raise answer
    for answer in answers:
        if isinstance(answer, ResponseError):
            raise answer
    return sum(int(answer) for answer in answers[:calls])


def _packed(entries: Iterable[Entry]) -> bytes:
    """One argument for the whole call: the client takes microseconds for each that it sends."""
    told: list[str | int] = []
    for entry in entries:
        told += (entry.version, entry.value.decode(), entry.lifetime_s, entry.channel)
    return _pack(told)


def _chunks(entries: Sequence[Entry], size: int) -> Iterator[list[Entry]]:
    rest = iter(entries)
    while chunk := list(islice(rest, size)):
        yield chunk
