"""A reset of the ``latest`` sink: what Redis holds from a moment on is forgotten, and read again.

While it stays, newer wins, and a wrong value with a high version could never be displaced by what
the log says.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import redis

from optionstream.schemas.redis_keys import GUARD_SUFFIX
from optionstream.schemas.topics import Namespace

_FAMILIES = ("latest:*", "ohlc:*", "volatility_surface:*")
_INDEXES = "index:*"
_A_CALL = 500
_MS_DIGITS = 16
"""Every version starts with its event time (``bar_version``, ``tick_version``, and ``version`` of
chains and surfaces)."""


def values_since(client: redis.Redis, namespace: Namespace, since_ms: int) -> list[str]:
    """The keys whose value is of ``since_ms`` (event time, epoch ms) or later. Raises
    redis.RedisError."""
    found: list[str] = []
    guards = _guards(client, namespace)
    while some := list(islice(guards, _A_CALL)):
        versions = client.mget(some)
        found += [
            guard.removesuffix(GUARD_SUFFIX)
            for guard, version in zip(some, versions, strict=True)
            if version is not None and int(version[:_MS_DIGITS]) >= since_ms
        ]
    return list(dict.fromkeys(found))  # a scan may tell a key twice


def forget_since(client: redis.Redis, namespace: Namespace, since_ms: int) -> int:
    """Delete those values with their versions, and what the indexes say of that time; returns
    how many values. The group must have no members. Raises redis.RedisError."""
    keys = values_since(client, namespace, since_ms)
    for start in range(0, len(keys), _A_CALL):
        some = keys[start : start + _A_CALL]
        client.unlink(*some, *(key + GUARD_SUFFIX for key in some))
    for index in client.scan_iter(match=namespace.redis(_INDEXES), count=_A_CALL):
        client.zremrangebyscore(index, since_ms, "+inf")
    return len(keys)


def _guards(client: redis.Redis, namespace: Namespace) -> Iterator[str]:
    for family in _FAMILIES:
        pattern = namespace.redis(family) + GUARD_SUFFIX
        for key in client.scan_iter(match=pattern, count=_A_CALL):
            yield key.decode()
