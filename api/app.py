"""The composition root of the API."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi_swagger import patch_fastapi

import optionstream
from optionstream.api import health, problems, replay_routes, routes
from optionstream.api.stores import Stores
from optionstream.schemas.topics import Namespace

_DESCRIPTION = """\
Indian index options, live or replayed: newest values and history.

Times are RFC 3339 in IST (+05:30), prices rupees, open interest in the unit that `oi_unit` names.
A figure that cannot be computed is null with a reason, never 0. Errors are RFC 9457 problem
documents with a stable `code`.
"""


def create_app(
    stores: Stores, namespace: Namespace, *, now_s: Callable[[], float] = time.time
) -> FastAPI:
    """Return the application over one namespace's stores, which it closes when it ends.

    ``now_s`` is the clock behind the ``Age`` header, seconds since the epoch.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await stores.close()

    app = FastAPI(
        title=f"optionstream ({namespace.name})",
        version=optionstream.__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    # FastAPI's own page loads its script from another host, which a trading desk may not reach.
    patch_fastapi(app)
    problems.install(app)
    app.include_router(routes.data_router(stores, namespace, now_s))
    if stores.replays is not None:
        app.include_router(replay_routes.replay_router(stores.replays))
    app.include_router(health.health_router(stores))
    _describe_problems(app)
    return app


def _describe_problems(app: FastAPI) -> None:
    """Describe problem documents in OpenAPI instead of FastAPI's own error shapes."""
    original = app.openapi

    def openapi() -> dict[str, Any]:
        document = original()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = problems.Problem.model_json_schema()
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        return document

    app.openapi = openapi  # type: ignore[method-assign]
