"""Read through the levels: Redis first, MongoDB if Redis lacks the answer or is down."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from optionstream.api import problems
from optionstream.api.mongo_store import MongoDown, MongoStore
from optionstream.api.redis_store import RedisDown, RedisStore
from optionstream.api.replay_store import ReplayStore
from optionstream.schemas import redis_keys
from optionstream.schemas.documents import Document, pcr_of_chain
from optionstream.schemas.times import ist_date, to_ms
from optionstream.schemas.topics import Namespace

T = TypeVar("T")

REDIS = "redis"
MONGODB = "mongodb"
L2, L3, MISS = "L2", "L3", "MISS"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class _Stamped(msgspec.Struct):
    timestamp: datetime


_stamp = msgspec.json.Decoder(_Stamped).decode


@dataclass(frozen=True)
class Found(Generic[T]):
    """An answer, the level it came from, and the stores that did not respond, with the cause."""

    value: T
    level: str
    down: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Body:
    """A JSON body and its event time, UTC epoch ms."""

    json: bytes
    ts_ms: int


class Stores:
    """The stores of one namespace.

    Every method raises ProblemError 503 if the answer needs a store that is down, and returns None
    if neither store has it. ``replays`` is the registry, which belongs to no namespace.
    """

    def __init__(
        self, redis: RedisStore, mongo: MongoStore, replays: ReplayStore | None = None
    ) -> None:
        self._redis = redis
        self._mongo = mongo
        self.replays = replays

    @classmethod
    def connect(cls, *, mongo: str, redis: str, namespace: Namespace) -> Stores:
        """Return the stores at a MongoDB URI and a Redis URL; they connect at first use."""
        return cls(
            RedisStore.connect(redis, namespace),
            MongoStore.connect(mongo, namespace),
            ReplayStore.connect(mongo),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.close()
        await self._mongo.close()
        if self.replays is not None:
            await self.replays.close()

    async def health(self) -> dict[str, str]:
        """Return ``ok`` or ``down: <cause>`` for each store."""
        return {
            REDIS: await _condition(self._redis.ping),
            MONGODB: await _condition(self._mongo.ping),
        }

    async def products(self) -> Found[dict[str, int]]:
        """Return every product with its newest event time, UTC epoch ms; empty without data."""
        found = await _through(self._redis.products, self._mongo.products)
        return found or Found({}, MISS)

    async def expiries(self, product: str) -> Found[dict[str, int]]:
        """Return the expiries of a product with their newest snapshots' times, UTC epoch ms."""
        found = await _through(
            lambda: self._redis.expiries(product), lambda: self._mongo.expiries(product)
        )
        return found or Found({}, MISS)

    async def underlying(self, product: str) -> Found[Body] | None:
        """Return the newest tick of a product."""
        return await self._newest(
            redis_keys.underlying(product), lambda: self._mongo.newest_tick(product)
        )

    async def chain(self, product: str, expiry: str) -> Found[Body] | None:
        """Return the newest chain of an expiry (an ISO date)."""
        key = redis_keys.chain(product, expiry)
        return await self._newest(key, lambda: self._mongo.chain(product, expiry))

    async def pcr(self, product: str, expiry: str) -> Found[Body] | None:
        """Return the newest put-call ratios of an expiry (an ISO date)."""
        key = redis_keys.pcr(product, expiry)
        return await self._newest(key, lambda: self._mongo.chain(product, expiry), pcr_of_chain)

    async def surface(self, product: str) -> Found[Body] | None:
        """Return the newest volatility surface of a product."""
        return await self._newest(redis_keys.surface(product), lambda: self._mongo.surface(product))

    async def bars(
        self, product: str, interval: str, start: int | None, end: int | None, limit: int
    ) -> Found[list[Document]]:
        """Return what ``MongoStore.bars`` does, with the window in Redis where that is newer.

        The dates of the window from Redis are texts.
        """
        down: dict[str, str] = {}
        try:
            rows = await self._mongo.bars(product, interval, start, end, limit)
        except MongoDown as error:
            raise problems.unavailable({MONGODB: str(error)}) from None
        level = L3 if rows else MISS
        try:
            newest = await self._redis.value(redis_keys.ohlc(product, interval))
        except RedisDown as error:
            down[REDIS] = str(error)
            newest = None
        if newest is not None:
            rows = with_newest(rows, _decode(newest), start, end, limit)
            level = level if level == L3 or not rows else L2
        return Found(rows, level, down)

    async def gaps(
        self, product: str, start: int | None, end: int | None, limit: int
    ) -> Found[list[Document]]:
        """Return what ``MongoStore.gaps`` does; only history has gaps."""
        try:
            rows = await self._mongo.gaps(product, start, end, limit)
        except MongoDown as error:
            raise problems.unavailable({MONGODB: str(error)}) from None
        return Found(rows, L3 if rows else MISS)

    async def _newest(
        self,
        key: str,
        read: Callable[[], Awaitable[Document | None]],
        shape: Callable[[Document], Document] = dict,
    ) -> Found[Body] | None:
        """Return the body under a Redis key, else the document that ``read`` returns, shaped."""

        async def cached() -> Body | None:
            body = await self._redis.value(key)
            return None if body is None else Body(body, to_ms(_stamp(body).timestamp))

        async def stored() -> Body | None:
            document = await read()
            if document is None:
                return None
            return Body(_encode(shape(document)), to_ms(document["timestamp"]))

        return await _through(cached, stored)


def nearest_expiry(expiries: dict[str, int]) -> str:
    """Return the first expiry not before the date of the newest data, else the last expiry.

    ``expiries`` maps ISO dates to the newest snapshot's time, UTC epoch ms; not empty.
    """
    newest_date = ist_date(max(expiries.values()))
    return min((day for day in expiries if day >= newest_date), default=max(expiries))


def with_newest(
    rows: list[Document], newest: Document, start: int | None, end: int | None, limit: int
) -> list[Document]:
    """Return ``rows`` with the bar ``newest`` put in, if it belongs to the page and is newer.

    Arguments as for ``MongoStore.bars``; a bar is newer by revision, then by ticks.
    """
    at = start_ms(newest)
    if (start is not None and at < start) or (end is not None and at >= end):
        return rows
    if start is not None and len(rows) == limit and at > start_ms(rows[-1]):
        return rows  # belongs to a later page
    by_start = {start_ms(row): row for row in rows}
    stored = by_start.get(at)
    if stored is None or _progress(newest) > _progress(stored):
        by_start[at] = newest
    ordered = [by_start[key] for key in sorted(by_start)]
    return ordered[:limit] if start is not None else ordered[-limit:]


def start_ms(bar: Document) -> int:
    """Return the start of a bar's window, UTC epoch ms."""
    return moment_ms(bar["start"])


def moment_ms(moment: datetime | str) -> int:
    """Return a date, or its text in RFC 3339, as UTC epoch ms."""
    return to_ms(datetime.fromisoformat(moment) if isinstance(moment, str) else moment)


def _progress(bar: Document) -> tuple[int, int]:
    return bar["revision"], bar["ticks"]


async def _through(
    cached: Callable[[], Awaitable[T | None]], stored: Callable[[], Awaitable[T | None]]
) -> Found[T] | None:
    """Return the first answer of the two levels; raise ProblemError 503 if MongoDB is down."""
    down: dict[str, str] = {}
    try:
        value = await cached()
        if value:
            return Found(value, L2)
    except RedisDown as error:
        down[REDIS] = str(error)
    try:
        value = await stored()
    except MongoDown as error:
        raise problems.unavailable({**down, MONGODB: str(error)}) from None
    return Found(value, L3, down) if value else None


async def _condition(ping: Callable[[], Awaitable[None]]) -> str:
    try:
        await ping()
    except (RedisDown, MongoDown) as error:
        return f"down: {error}"
    return "ok"
