"""``serve``: the HTTP interface over one namespace."""

from __future__ import annotations

from typing import Annotated

import typer

from optionstream.deploy.cli import context
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import LIVE, Namespace


def serve(
    namespace: Annotated[str, typer.Option(help="Whose data.")] = LIVE,
    host: Annotated[str, typer.Option(help="Interface to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 8000,
) -> None:
    """Serve the HTTP interface until Ctrl-C.

    /docs is its documentation. Only MongoDB and Redis are asked. It starts even while one of
    them is down.

    \b
    Examples:
      optionstream serve
      optionstream serve --namespace october --port 8080
    """
    from optionstream.api import server

    name = Namespace.parse(namespace)
    mongo, redis = _stores(context.settings())
    server.serve(mongo=mongo, redis=redis, namespace=name, host=host, port=port)


def _stores(settings: Settings) -> tuple[str, str]:
    if settings.mongo is not None and settings.redis is not None:
        return settings.mongo, settings.redis
    found = context.known_addresses(settings)
    return found.mongo, found.redis
