"""The registry of replays, read and written over the interface (schemas/replays.py)."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import uuid4

from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection

from optionstream.api import problems
from optionstream.api.mongo_store import asking
from optionstream.api.problems import ProblemError
from optionstream.schemas import replays
from optionstream.schemas.connections import mongo_options
from optionstream.schemas.replays import Command, State

Row = dict[str, Any]


class ReplayStore:
    """Every method raises MongoDown, and those about one replay ProblemError 404."""

    def __init__(self, client: AsyncMongoClient[Row]) -> None:
        self._client = client
        self._rows: AsyncCollection[Row] = client[replays.DATABASE][replays.COLLECTION]

    @classmethod
    def connect(cls, uri: str) -> ReplayStore:
        """Connects at first use."""
        client: AsyncMongoClient[Row] = AsyncMongoClient(
            **mongo_options(uri, 1_500, connect=True, tz_aware=True)
        )
        return cls(client)

    async def close(self) -> None:
        await self._client.close()

    async def all(self) -> list[Row]:
        """As ``replay list`` tells them, the oldest first."""
        return [replays.told(row) for row in await self._read(None)]

    async def one(self, name: str) -> Row:
        return replays.told(await self._entry(name))

    async def command(self, name: str, command: Command) -> str:
        """What the replay answers. Raises ProblemError: 409 when it is not under way or refuses,
        503 when it is silent."""
        state = replays.state_of(await self._entry(name))
        refusal = replays.refusal(name, state)
        if refusal is not None:
            raise ProblemError(409, problems.REPLAY_NOT_RUNNING, refusal, state=state)
        posted = replays.posted(uuid4().hex, command)
        async with asking():
            await self._rows.update_one({"_id": name}, {"$push": {"commands": posted}})
        return await self._answer(name, posted["id"])

    async def _answer(self, name: str, id_: str) -> str:
        deadline_s = time.monotonic() + replays.ANSWER_WITHIN_S
        while time.monotonic() < deadline_s:
            await asyncio.sleep(replays.LOOK_EVERY_S)
            async with asking():
                row = await self._rows.find_one({"_id": name}, {"answers": 1, "state": 1}) or {}
            for answer in row.get("answers", ()):
                if answer["id"] == id_ and answer["ok"]:
                    return str(answer["text"])
                if answer["id"] == id_:
                    raise ProblemError(409, problems.REPLAY_REFUSED, answer["text"])
            if row.get("state") != State.RUNNING:
                detail = f"replay {name} ended before it heard this"
                raise ProblemError(409, problems.REPLAY_NOT_RUNNING, detail, state=row.get("state"))
        detail = f"replay {name} has not answered for {replays.ANSWER_WITHIN_S:.0f} s."
        raise ProblemError(503, problems.REPLAY_SILENT, detail)

    async def _entry(self, name: str) -> Row:
        rows = await self._read(name)
        if not rows:
            known = [str(row["_id"]) for row in await self._read(None)]
            raise problems.unknown_replay(name, known)
        return rows[0]

    async def _read(self, name: str | None) -> list[Row]:
        async with asking():
            found = await self._rows.aggregate(replays.read_stages(name))
            return [row async for row in found]
