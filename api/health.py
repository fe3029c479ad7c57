"""Health routes: is the process there, and can it answer."""

from __future__ import annotations

from fastapi import APIRouter

from optionstream.api import models, problems
from optionstream.api.problems import ProblemError
from optionstream.api.stores import Stores


def health_router(stores: Stores) -> APIRouter:
    router = APIRouter(prefix="/health", tags=["health"])

    @router.get("/live", summary="The process runs")
    async def live() -> models.Live:
        """The process runs. Asks no store."""
        return models.Live(status="ok")

    @router.get("/ready", summary="Every store answers", responses=problems.responses(503))
    async def ready() -> models.Ready:
        """Every store answers: one line each; 503 when one is down."""
        checks = await stores.health()
        down = {name: said for name, said in checks.items() if said != "ok"}
        if down:
            detail = "; ".join(f"{name} is {said}" for name, said in down.items())
            raise ProblemError(503, problems.NOT_READY, detail, checks=checks)
        return models.Ready(status="ready", checks=checks)

    return router
