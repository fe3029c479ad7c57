"""Serve the application with uvicorn."""

from __future__ import annotations

import uvicorn

from optionstream.api.app import create_app
from optionstream.api.stores import Stores
from optionstream.schemas.topics import Namespace


def serve(
    *,
    mongo: str,
    redis: str,
    namespace: Namespace,
    host: str = "127.0.0.1",
    port: int = 8000,
    log_level: str = "info",
) -> None:
    """Serve a namespace until SIGTERM or SIGINT; start even while a store is down.

    ``mongo`` is a URI, ``redis`` a URL. Port 0 takes a free one, which is logged.
    """
    stores = Stores.connect(mongo=mongo, redis=redis, namespace=namespace)
    uvicorn.run(create_app(stores, namespace), host=host, port=port, log_level=log_level)
