"""``serve``: the HTTP API over one namespace."""

from __future__ import annotations

from typing import Annotated

import typer

from optionstream.deploy.cli import context
from optionstream.deploy.cli.options import NamespaceOption
from optionstream.schemas.topics import LIVE, Namespace


def serve(
    namespace: NamespaceOption = LIVE,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Interface to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port to listen on; 0: a free one.")
    ] = 8000,
) -> None:
    """Serve the HTTP API until Ctrl-C.

    The documentation of its routes is at /docs. It reads MongoDB and Redis, and starts even while
    one of them is down.

    \b
    Examples:
      optionstream serve
      optionstream serve --namespace october --port 8080
    """
    from optionstream.api import server

    name = Namespace.parse(namespace)
    settings = context.settings()
    mongo, redis = settings.mongo, settings.redis
    if mongo is None or redis is None:
        found = context.known_addresses(settings)
        mongo, redis = found.mongo, found.redis
    server.serve(mongo=mongo, redis=redis, namespace=name, host=host, port=port)
