"""Stores of the API without servers, which can be down."""

from __future__ import annotations

from typing import Any

import msgspec

from optionstream.api.mongo_store import MongoDown
from optionstream.api.redis_store import RedisDown
from optionstream.schemas import redis_keys
from optionstream.schemas.documents import (
    Document,
)
from optionstream.schemas.topics import Namespace
from tests.harness.records import OPEN_MS

NAMESPACE = Namespace("replayed")


NOW_S = OPEN_MS / 1000 + 60


class FakeRedis:
    """A RedisStore over a dictionary; ``down`` makes it fail."""

    def __init__(self) -> None:
        self.down = False
        self.values: dict[str, Any] = {}
        self.scores: dict[str, dict[str, int]] = {}

    async def close(self) -> None: ...

    async def ping(self) -> None:
        self._check()

    async def value(self, key: str) -> bytes | None:
        self._check()
        return msgspec.json.encode(self.values[key]) if key in self.values else None

    async def products(self) -> dict[str, int]:
        self._check()
        return self.scores.get(redis_keys.PRODUCTS, {})

    async def expiries(self, product: str) -> dict[str, int]:
        self._check()
        return self.scores.get(redis_keys.expiries(product), {})

    def _check(self) -> None:
        if self.down:
            raise RedisDown("connection refused")


class FakeMongo:
    """A MongoStore over lists; ``down`` makes it fail."""

    def __init__(self) -> None:
        self.down = False
        self.rows: list[Document] = []
        self.chains: dict[tuple[str, str], Document] = {}
        self.lacking: list[Document] = []
        self.surfaces: dict[str, Document] = {}

    async def close(self) -> None: ...

    async def ping(self) -> None:
        self._check()

    async def products(self) -> dict[str, int]:
        self._check()
        return {row["product"]: OPEN_MS for row in self.rows}

    async def expiries(self, product: str) -> dict[str, int]:
        self._check()
        return {expiry: OPEN_MS for name, expiry in self.chains if name == product}

    async def chain(self, product: str, expiry: str) -> Document | None:
        self._check()
        return self.chains.get((product, expiry))

    async def surface(self, product: str) -> Document | None:
        self._check()
        return self.surfaces.get(product)

    async def newest_tick(self, product: str) -> Document | None:
        self._check()
        return None

    async def gaps(
        self, product: str, start: int | None, end: int | None, limit: int
    ) -> list[Document]:
        self._check()
        return [row for row in self.lacking if row["product"] == product][:limit]

    async def bars(
        self, product: str, interval: str, start: int | None, end: int | None, limit: int
    ) -> list[Document]:
        self._check()
        rows = [row for row in self.rows if row["product"] == product]
        if start is None:
            return rows[-limit:]
        return [row for row in rows if row["start"].timestamp() * 1000 >= start][:limit]

    def _check(self) -> None:
        if self.down:
            raise MongoDown("no primary")
