"""The registry of replays: read entries, send commands, await answers (schemas/replays.py)."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import uuid4

from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection

from optionstream.api import problems
from optionstream.api.mongo_store import reading
from optionstream.api.problems import ProblemError
from optionstream.schemas import replays
from optionstream.schemas.connections import mongo_options
from optionstream.schemas.replays import Command, State

Row = dict[str, Any]


class ReplayStore:
    """The registry over MongoDB.

    Every method raises MongoDown; those about one replay raise ProblemError 404 as well.
    """

    def __init__(self, client: AsyncMongoClient[Row]) -> None:
        self._client = client
        self._rows: AsyncCollection[Row] = client[replays.DATABASE][replays.COLLECTION]

    @classmethod
    def connect(cls, uri: str) -> ReplayStore:
        """Return a store over a MongoDB URI; it connects at first use."""
        client: AsyncMongoClient[Row] = AsyncMongoClient(
            **mongo_options(uri, 1_500, connect=True, tz_aware=True)
        )
        return cls(client)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def list_replays(self) -> list[Row]:
        """Return all replays as ``replay list`` shows them, the oldest first."""
        return [replays.describe(row) for row in await self._read(None)]

    async def get_replay(self, name: str) -> Row:
        """Return one replay as ``replay status`` shows it."""
        return replays.describe(await self._entry(name))

    async def send_command(self, name: str, command: Command) -> str:
        """Send a command and return the replay's answer.

        Raises ProblemError: 409 when the replay is not running or refuses, 503 when it is silent.
        """
        state = replays.state_of(await self._entry(name))
        refusal = replays.refusal(name, state)
        if refusal is not None:
            raise ProblemError(409, problems.REPLAY_NOT_RUNNING, refusal, state=state)
        posted = replays.posted(uuid4().hex, command)
        async with reading():
            await self._rows.update_one({"_id": name}, {"$push": {"commands": posted}})
        return await self._await_answer(name, posted["id"])

    async def _await_answer(self, name: str, id_: str) -> str:
        deadline_s = time.monotonic() + replays.ANSWER_WITHIN_S
        while time.monotonic() < deadline_s:
            await asyncio.sleep(replays.LOOK_EVERY_S)
            async with reading():
                row = await self._rows.find_one({"_id": name}, {"answers": 1, "state": 1}) or {}
            for answer in row.get("answers", ()):
                if answer["id"] == id_ and answer["ok"]:
                    return str(answer["text"])
                if answer["id"] == id_:
                    raise ProblemError(409, problems.REPLAY_REFUSED, answer["text"])
            if row.get("state") != State.RUNNING:
                detail = f"replay {name} ended before it read the command"
                raise ProblemError(409, problems.REPLAY_NOT_RUNNING, detail, state=row.get("state"))
        detail = f"replay {name} has not responded for {replays.ANSWER_WITHIN_S:.0f} s."
        raise ProblemError(503, problems.REPLAY_SILENT, detail)

    async def _entry(self, name: str) -> Row:
        rows = await self._read(name)
        if not rows:
            known = [str(row["_id"]) for row in await self._read(None)]
            raise problems.unknown_replay(name, known)
        return rows[0]

    async def _read(self, name: str | None) -> list[Row]:
        async with reading():
            found = await self._rows.aggregate(replays.read_stages(name))
            return [row async for row in found]
