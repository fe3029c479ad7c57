"""The routes of replays: list them, read one, send commands to a running one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path

from optionstream.api import answers, examples, models, params, problems
from optionstream.api.mongo_store import MongoDown
from optionstream.api.replay_store import ReplayStore
from optionstream.api.stores import MONGODB
from optionstream.schemas.errors import ReplayRefused
from optionstream.schemas.replays import Action, Command
from optionstream.schemas.topics import NAME_PATTERN

Id = Annotated[
    str,
    Path(
        pattern=NAME_PATTERN,
        description="Replay id, which is its namespace",
        openapi_examples={"october": {"value": "october"}},
    ),
]

_ARGUMENTS: dict[Action, str] = {Action.STEP: "events", Action.SEEK: "to", Action.SPEED: "speed"}
"""The member that a command needs besides its name."""


def replay_router(store: ReplayStore) -> APIRouter:
    """Return the routes over the registry of replays, whatever namespace is served."""
    router = APIRouter(
        prefix="/api/replays", tags=["replays"], dependencies=[Depends(params.only_known)]
    )

    @router.get("", summary="All replays", responses=answers.documented(examples.REPLAYS, 422, 503))
    async def replays() -> models.Replays:
        """Return all replays, the oldest first."""
        async with _reading():
            return models.Replays.model_validate({"replays": await store.list_replays()})

    @router.get(
        "/{id}", summary="One replay", responses=answers.documented(examples.REPLAY, 404, 422, 503)
    )
    async def replay(id: Id) -> models.Replay:
        """Return the progress of a replay and its manifest."""
        async with _reading():
            return models.Replay.model_validate(await store.get_replay(id))

    @router.post(
        "/{id}/commands",
        summary="Control a running replay",
        responses=answers.documented(examples.REPLAY_ANSWER, 404, 409, 422, 503),
    )
    async def command(id: Id, body: models.ReplayCommand) -> models.ReplayAnswer:
        """Send `pause`, `resume`, `step` (`events`), `seek` (`to`), `speed` (`speed`) or `stop`.

        Returns once the replay has accepted the command. A seek or steps then take their time:
        `settled` becomes true when they are done and every group has read the records.
        """
        order = parse_command(body)
        async with _reading():
            answer = await store.send_command(id, order)
            return models.ReplayAnswer(id=id, command=body.command, answer=answer)

    return router


def parse_command(body: models.ReplayCommand) -> Command:
    """Return the command in a request body; raises the 422 that names the member."""
    wanted = _ARGUMENTS.get(body.command)
    for name in _ARGUMENTS.values():
        if name != wanted and getattr(body, name) is not None:
            raise problems.invalid(name, f"not allowed for {body.command.value}; remove it", "body")
    if wanted is not None and getattr(body, wanted) is None:
        raise problems.invalid(wanted, f"`{wanted}` is required for {body.command.value}", "body")
    try:
        return Command.checked(body.command, _value(body))
    except ReplayRefused as error:
        raise problems.invalid(wanted or "command", str(error), "body") from None


def _value(body: models.ReplayCommand) -> float | None:
    match body.command:
        case Action.STEP:
            return body.events
        case Action.SEEK:
            return params.instant_ms("to", str(body.to), "body")
        case Action.SPEED:
            named: dict[Any, float | None] = {"max": None, "realtime": 1.0}
            return named[body.speed] if isinstance(body.speed, str) else body.speed
    return None


@asynccontextmanager
async def _reading() -> AsyncIterator[None]:
    """Answer with 503 when MongoDB does not respond within the block."""
    try:
        yield
    except MongoDown as error:
        raise problems.unavailable({MONGODB: str(error)}) from None
