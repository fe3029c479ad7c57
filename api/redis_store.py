"""Level 2: the newest values in Redis, as the ``latest`` sink wrote them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import redis.asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from optionstream.schemas import redis_keys
from optionstream.schemas.connections import redis_options
from optionstream.schemas.topics import Namespace

_PAUSE_S = 1.0
"""Pause after a failure, so that timeouts of Redis do not slow other requests."""


class RedisDown(Exception):
    """Redis did not respond; the text is the first line of its error."""


class RedisStore:
    """One namespace's keys. Every method raises RedisDown when Redis fails."""

    def __init__(
        self,
        client: aioredis.Redis,
        namespace: Namespace,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._clock = clock
        self._down_until_s = 0.0
        self._why = ""

    @classmethod
    def connect(cls, url: str, namespace: Namespace) -> RedisStore:
        """Return a store over a Redis URL; it connects at first use."""
        client = aioredis.Redis.from_url(
            **redis_options(url, 1.0, 0.5, retry=Retry(NoBackoff(), 0), max_connections=200)
        )
        return cls(client, namespace)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def ping(self) -> None:
        """Raise RedisDown if it does not respond now; end the pause if it does."""
        try:
            await self._client.ping()
        except (RedisError, OSError) as error:
            raise self._record_failure(error) from None
        self._down_until_s = 0.0

    async def value(self, key: str) -> bytes | None:
        """Return the JSON under a key of ``schemas.redis_keys``; None if there is none."""
        found: bytes | None = await self._call(lambda: self._client.get(self._namespace.redis(key)))
        return found

    async def products(self) -> dict[str, int]:
        """Return every product with its newest event time, UTC epoch ms."""
        return await self._scores(redis_keys.PRODUCTS)

    async def expiries(self, product: str) -> dict[str, int]:
        """Return the expiries of a product with their newest snapshots' times, UTC epoch ms."""
        return await self._scores(redis_keys.expiries(product))

    async def _scores(self, key: str) -> dict[str, int]:
        name = self._namespace.redis(key)
        pairs: list[tuple[bytes, float]] = await self._call(
            lambda: self._client.zrange(name, 0, -1, withscores=True)
        )
        return {member.decode(): int(score) for member, score in sorted(pairs)}

    async def _call(self, action: Callable[[], Awaitable[Any]]) -> Any:
        if self._clock() < self._down_until_s:
            raise RedisDown(self._why)
        try:
            return await action()
        except (RedisError, OSError) as error:
            raise self._record_failure(error) from None

    def _record_failure(self, error: Exception) -> RedisDown:
        self._down_until_s = self._clock() + _PAUSE_S
        self._why = (str(error).splitlines() or [type(error).__name__])[0][:200]
        return RedisDown(self._why)
