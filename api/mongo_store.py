"""Level 3: history in MongoDB, as the ``history`` sink wrote it."""

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
    """MongoDB did not respond; the text is the driver's first line."""


class MongoStore:
    """One namespace's database, read with majority. Every method raises MongoDown.

    Documents come without ``_id`` and with their dates in IST (``schemas.documents``).
    """

    def __init__(self, client: AsyncMongoClient[Document], namespace: Namespace) -> None:
        self._client = client
        options: CodecOptions[Any] = CodecOptions(tz_aware=True, tzinfo=IST)
        self._db: AsyncDatabase[Document] = client.get_database(
            namespace.mongo_db, codec_options=options, read_concern=ReadConcern("majority")
        )

    @classmethod
    def connect(cls, uri: str, namespace: Namespace) -> MongoStore:
        """Return a store over a MongoDB URI; it connects at first use."""
        client: AsyncMongoClient[Document] = AsyncMongoClient(
            **mongo_options(uri, 1_500, connect=True)
        )
        return cls(client, namespace)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def ping(self) -> None:
        """Raise MongoDown if it does not respond now."""
        async with reading():
            await self._client.admin.command("ping")

    async def products(self) -> dict[str, int]:
        """Return every product with its newest event time, UTC epoch ms."""
        async with reading():
            names: set[str] = set()
            for collection in (BARS, CHAINS):
                names.update(await self._db[collection].distinct("product"))
            ticked = await self._db[TICKS].aggregate([{"$group": {"_id": "$product"}}])
            names.update([row["_id"] async for row in ticked])
            return {name: await self._newest_ms(name) for name in sorted(names)}

    async def expiries(self, product: str) -> dict[str, int]:
        """Return the expiries of a product with their newest snapshots' times, UTC epoch ms."""
        async with reading():
            found: dict[str, int] = {}
            for expiry in sorted(await self._db[CHAINS].distinct("expiry", {"product": product})):
                newest = await self._newest_chain(
                    {"product": product, "expiry": expiry}, _TIME_ONLY
                )
                if newest is not None:
                    found[expiry] = to_ms(newest["timestamp"])
            return found

    async def chain(self, product: str, expiry: str) -> Document | None:
        """Return the newest chain of an expiry (an ISO date); None if there is none."""
        async with reading():
            return await self._newest_chain({"product": product, "expiry": expiry}, {"_id": 0})

    async def surface(self, product: str) -> Document | None:
        """Return the newest volatility surface of a product; None if there is none."""
        async with reading():
            query = {"product": product}
            return await self._db[SURFACES].find_one(query, {"_id": 0}, sort=_NEWEST_SURFACE)

    async def newest_tick(self, product: str) -> Document | None:
        """Return the newest tick whose content analytics accepts; None if there is none."""
        async with reading():
            query = {"product": product, **_NOT_REFUSED}
            newest = [("timestamp", DESCENDING)]
            best: Document | None = None
            async for row in self._db[TICKS].find(query).sort(newest):
                if best is not None and row["timestamp"] < best["timestamp"]:
                    break
                newer = best is None or _tick_order(row) > _tick_order(best)
                if newer and await self._is_owned(row):
                    best = row
            return None if best is None else {name: best.get(name) for name in _TICK_FIELDS}

    async def bars(
        self, product: str, interval: str, start: int | None, end: int | None, limit: int
    ) -> list[Document]:
        """Return up to ``limit`` bars in the order of time, the newest revision of each window.

        The range is [start, end), UTC epoch ms; None is an open end. With ``start`` these are the
        first bars of the range, without it the last.
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
        async with reading():
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
        """Return up to ``limit`` gaps in the order of time, the newest revision of each.

        They start in [start, end), UTC epoch ms; None is an open end. With ``start`` these are the
        first gaps of the range, without it the last.
        """
        query: Document = {"product": product, **_span("start", start, end)}
        forward = start is not None
        order = ASCENDING if forward else DESCENDING
        async with reading():
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
        """Return True if a range of its epoch holds its offset; other rows are left by a crash."""
        owner = await self._db[TICK_RANGES].find_one(
            {
                "epoch": row["e"],
                "partition": row["p"],
                "first": {"$lte": row["o"]},
                "last": {"$gte": row["o"]},
            },
            {"_id": 1},
        )
        return owner is not None


def _span(field: str, start: int | None, end: int | None) -> Document:
    """Return the condition that a date is in [start, end), UTC epoch ms; None is an open end."""
    bounds = {"$gte": start, "$lt": end}
    span = {name: ist(ms) for name, ms in bounds.items() if ms is not None}
    return {field: span} if span else {}


def _gap_name(row: Document) -> tuple[Any, ...]:
    """Return the fields that the revisions of one gap share (``Gap.name``)."""
    at = row["start"] if row["first"] is None else row["first"]
    return row["session"], row["kind"], row["source"], row["label"], at


def _tick_order(row: Document) -> tuple[datetime, int, int, int]:
    """Return a sort key: time, then number; of equals the first in the log is the greatest."""
    return row["timestamp"], row["seq"], -row["o"], -row["i"]


@asynccontextmanager
async def reading() -> AsyncIterator[None]:
    """Limit the time of a block that reads MongoDB; its errors become MongoDown in one line."""
    try:
        with pymongo.timeout(_TIMEOUT_S):
            yield
    except PyMongoError as error:
        # The rest is the driver's settings and its view of the whole replica set.
        text = str(error).split(" (configured timeouts")[0].partition("\n")[0][:200]
        raise MongoDown(text or type(error).__name__) from None
