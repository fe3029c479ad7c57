"""Health routes: the process is running; its stores respond."""

from __future__ import annotations

from fastapi import APIRouter

from optionstream.api import models, problems
from optionstream.api.problems import ProblemError
from optionstream.api.stores import Stores


def health_router(stores: Stores) -> APIRouter:
    """Return the routes ``/health/live`` and ``/health/ready``."""
    router = APIRouter(prefix="/health", tags=["health"])

    @router.get("/live", summary="Liveness")
    async def live() -> models.Live:
        """Return `ok` while the process runs; no store is read."""
        return models.Live(status="ok")

    @router.get("/ready", summary="Readiness", responses=problems.responses(503))
    async def ready() -> models.Ready:
        """Return the state of every store; 503 when one does not respond."""
        checks = await stores.health()
        down = {name: state for name, state in checks.items() if state != "ok"}
        if down:
            detail = "; ".join(f"{name} is {state}" for name, state in down.items())
            raise ProblemError(503, problems.NOT_READY, detail, checks=checks)
        return models.Ready(status="ready", checks=checks)

    return router
