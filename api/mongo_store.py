"""Level 3: history, as the ``history`` sink wrote it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import pymongo
from bson.codec_options import CodecOptions
from pymongo import ASCENDING, DESCENDING, AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from optionstream.schemas.connections import mongo_options
from optionstream.schemas.documents import (
    BARS,
    CHAINS,
    GAPS,
    SURFACES,
    TICK_RANGES,
    TICKS,
    Document,
)
from optionstream.schemas.times import IST, ist, to_ms
from optionstream.schemas.topics import Namespace

_TIMEOUT_S = 5.0
_NEWEST_SURFACE = [("timestamp", DESCENDING), ("number", DESCENDING)]
_NEWEST_CHAIN = [("timestamp", DESCENDING), ("received", DESCENDING), ("snapshot_id", DESCENDING)]
_TIME_ONLY = {"_id": 0, "timestamp": 1}
_NOT_REFUSED = {"refused": {"$exists": False}}
_TICK_FIELDS = ("product", "timestamp", "price", "volume", "seq", "source", "session")


class MongoDown(Exception):
    """MongoDB did not answer; the text says why."""


class MongoStore:
    """One namespace's database, read with majority. Every method raises MongoDown.

    Documents come without ``_id`` and with their dates in IST.
    """

    def __init__(self, client: AsyncMongoClient[Document], namespace: Namespace) -> None:
        self._client = client
        options: CodecOptions[Any] = CodecOptions(tz_aware=True, tzinfo=IST)
        self._db: AsyncDatabase[Document] = client.get_database(
            namespace.mongo_db, codec_options=options, read_concern=ReadConcern("majority")
        )

    @classmethod
    def connect(cls, uri: str, namespace: Namespace) -> MongoStore:
        """Connects at first use."""
        client: AsyncMongoClient[Document] = AsyncMongoClient(
            **mongo_options(uri, 1_500, connect=True)
        )
        return cls(client, namespace)

    async def close(self) -> None:
        await self._client.close()

    async def ping(self) -> None:
        async with asking():
            await self._client.admin.command("ping")

    async def products(self) -> dict[str, int]:
        """Every product with its newest event time, epoch ms."""
        async with asking():
            names: set[str] = set()
            for collection in (BARS, CHAINS):
                names.update(await self._db[collection].distinct("product"))
            ticked = await self._db[TICKS].aggregate([{"$group": {"_id": "$product"}}])
            names.update([row["_id"] async for row in ticked])
            return {name: await self._newest_ms(name) for name in sorted(names)}

    async def expiries(self, product: str) -> dict[str, int]:
        """The expiries of a product, each with its newest snapshot's time, epoch ms."""
        async with asking():
            found: dict[str, int] = {}
            for expiry in sorted(await self._db[CHAINS].distinct("expiry", {"product": product})):
                newest = await self._newest_chain(
                    {"product": product, "expiry": expiry}, _TIME_ONLY
                )
                if newest is not None:
                    found[expiry] = to_ms(newest["timestamp"])
            return found

    async def chain(self, product: str, expiry: str) -> Document | None:
        """The newest chain of an expiry."""
        async with asking():
            return await self._newest_chain({"product": product, "expiry": expiry}, {"_id": 0})

    async def surface(self, product: str) -> Document | None:
        """The newest volatility surface of a product."""
        async with asking():
            query = {"product": product}
            return await self._db[SURFACES].find_one(query, {"_id": 0}, sort=_NEWEST_SURFACE)

    async def newest_tick(self, product: str) -> Document | None:
        """The newest tick that analytics would not refuse for its content."""
        async with asking():
            query = {"product": product, **_NOT_REFUSED}
            newest = [("timestamp", DESCENDING)]
            best: Document | None = None
            async for row in self._db[TICKS].find(query).sort(newest):
                if best is not None and row["timestamp"] < best["timestamp"]:
                    break
                better = best is None or _tick_order(row) > _tick_order(best)
                if better and await self._is_owned(row):
                    best = row
            return None if best is None else {name: best.get(name) for name in _TICK_FIELDS}

    async def bars(
        self, product: str, interval: str, start: int | None, end: int | None, limit: int
    ) -> list[Document]:
        """Up to ``limit`` bars in the order of time, the newest revision of each window.

        ``start`` inclusive, ``end`` exclusive (epoch ms). From ``start`` on; without it the last
        ones before ``end``.
        """
        query: Document = {
            "product": product,
            "interval": interval,
            **_span("start", start, end),
        }
        forward = start is not None
        order = (
            [("start", ASCENDING), ("revision", DESCENDING)]
            if forward
            else [("start", DESCENDING), ("revision", ASCENDING)]
        )
        async with asking():
            rows: dict[datetime, Document] = {}
            async for row in self._db[BARS].find(query, {"_id": 0}).sort(order):
                moment = row["start"]
                if moment not in rows and len(rows) == limit:
                    break
                if not forward or moment not in rows:
                    rows[moment] = row  # backward, the newest revision comes last
            return sorted(rows.values(), key=lambda row: row["start"])

    async def gaps(
        self, product: str, start: int | None, end: int | None, limit: int
    ) -> list[Document]:
        """Up to ``limit`` gaps that begin in [start, end) (epoch ms), in the order of time, each
        in its newest revision. Without ``start`` the last ones."""
        query: Document = {"product": product, **_span("start", start, end)}
        forward = start is not None
        order = ASCENDING if forward else DESCENDING
        async with asking():
            found: dict[tuple[Any, ...], Document] = {}
            rows = self._db[GAPS].find(query, {"_id": 0})
            async for row in rows.sort([("start", order), ("revision", DESCENDING)]):
                name = _gap_name(row)
                if name not in found and len(found) == limit:
                    break
                found.setdefault(name, row)
            return sorted(found.values(), key=lambda row: (row["start"], row["kind"]))

    async def _newest_chain(self, query: Document, fields: Mapping[str, int]) -> Document | None:
        return await self._db[CHAINS].find_one(query, dict(fields), sort=_NEWEST_CHAIN)

    async def _newest_ms(self, product: str) -> int:
        query = {"product": product}
        newest = [("timestamp", DESCENDING)]
        chain = await self._db[CHAINS].find_one(query, _TIME_ONLY, sort=newest)
        tick = await self._db[TICKS].find_one({**query, **_NOT_REFUSED}, _TIME_ONLY, sort=newest)
        moments = [to_ms(row["timestamp"]) for row in (chain, tick) if row is not None]
        return max(moments, default=0)

    async def _is_owned(self, row: Document) -> bool:
        """Whether a range of the row's epoch holds its offset: else it is a crash's surplus."""
        held = await self._db[TICK_RANGES].find_one(
            {
                "epoch": row["e"],
                "partition": row["p"],
                "first": {"$lte": row["o"]},
                "last": {"$gte": row["o"]},
            },
            {"_id": 1},
        )
        return held is not None


def _span(field: str, start: int | None, end: int | None) -> Document:
    """The condition that a date lies in [start, end); none where both are None."""
    bounds = {"$gte": start, "$lt": end}
    span = {name: ist(ms) for name, ms in bounds.items() if ms is not None}
    return {field: span} if span else {}


def _gap_name(row: Document) -> tuple[Any, ...]:
    """What the revisions of one gap share (schemas.derived.Gap.name)."""
    at = row["start"] if row["first"] is None else row["first"]
    return row["session"], row["kind"], row["source"], row["label"], at


def _tick_order(row: Document) -> tuple[datetime, int, int, int]:
    """Newest by time and number; the first of equals in the log."""
    return row["timestamp"], row["seq"], -row["o"], -row["i"]


@asynccontextmanager
async def asking() -> AsyncIterator[None]:
    """A block that asks MongoDB; what fails in it is MongoDown in one line."""
    try:
        with pymongo.timeout(_TIMEOUT_S):
            yield
    except PyMongoError as error:
        # What follows is the driver's settings and its view of the whole replica set.
        text = str(error).split(" (configured timeouts")[0].partition("\n")[0][:200]
        raise MongoDown(text or type(error).__name__) from None
