"""The routes of replays: what there are, and steering a running one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path

from optionstream.api import examples, models, params, problems
from optionstream.api.mongo_store import MongoDown
from optionstream.api.replay_store import ReplayStore
from optionstream.api.stores import MONGODB
from optionstream.schemas.errors import ReplayRefused
from optionstream.schemas.replays import Action, Command

Id = Annotated[
    str,
    Path(
        pattern=r"^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$",
        description="The replay's id, which is its namespace",
        openapi_examples={"october": {"value": "october"}},
    ),
]

_TAKES: dict[Action, str] = {Action.STEP: "events", Action.SEEK: "to", Action.SPEED: "speed"}
"""The one member that a command takes beside its name."""
_MEMBERS = tuple(_TAKES.values())


def replay_router(store: ReplayStore) -> APIRouter:
    """The routes over the registry, whatever namespace is served."""
    router = APIRouter(
        prefix="/api/replays", tags=["replays"], dependencies=[Depends(params.only_known)]
    )

    @router.get("", summary="All replays", responses=_ok(examples.REPLAYS, 422, 503))
    async def replays() -> models.Replays:
        """All replays, the oldest first."""
        async with _reachable():
            return models.Replays.model_validate({"replays": await store.all()})

    @router.get("/{id}", summary="One replay", responses=_ok(examples.REPLAY, 404, 422, 503))
    async def replay(id: Id) -> models.Replay:
        """What a replay does now, and its manifest."""
        async with _reachable():
            return models.Replay.model_validate(await store.one(id))

    @router.post(
        "/{id}/commands",
        summary="Steer a running replay",
        responses=_ok(examples.REPLAY_ANSWER, 404, 409, 422, 503),
    )
    async def command(id: Id, body: models.ReplayCommand) -> models.ReplayAnswer:
        """`pause`, `resume`, `step` (`events`), `seek` (`to`), `speed` (`speed`) or `stop`.

        Answers when the replay has followed. A seek or steps are then under way: the replay is
        `settled` when it is there and every group has read it.
        """
        order = command_of(body)
        async with _reachable():
            answer = await store.command(id, order)
            return models.ReplayAnswer(id=id, command=body.command, answer=answer)

    return router


def command_of(body: models.ReplayCommand) -> Command:
    """The command that a body says; raises the 422 that names the member."""
    wanted = _TAKES.get(body.command)
    for name in _MEMBERS:
        if name != wanted and getattr(body, name) is not None:
            raise problems.invalid(name, f"{body.command.value} does not take it", "body")
    if wanted is not None and getattr(body, wanted) is None:
        raise problems.invalid(wanted, f"{body.command.value} needs it", "body")
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
async def _reachable() -> AsyncIterator[None]:
    try:
        yield
    except MongoDown as error:
        raise problems.unavailable({MONGODB: str(error)}) from None


def _ok(example: Any, *errors: int) -> dict[int | str, dict[str, Any]]:
    content = {"application/json": {"example": example}}
    return {200: {"content": content}, **problems.responses(*errors)}
