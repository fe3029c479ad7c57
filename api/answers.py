"""Responses: a JSON body with headers that say where it came from and how old it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from fastapi import Response

from optionstream.api import problems
from optionstream.api.stores import Body, Found
from optionstream.schemas.times import rfc3339

_encode = msgspec.json.Encoder().encode

HEADERS: dict[str, dict[str, Any]] = {
    "X-Cache": {
        "description": "Where the answer came from: L2 (Redis), L3 (MongoDB), MISS",
        "schema": {"type": "string"},
    },
    "X-Data-Timestamp": {
        "description": "Event time of the newest data in the answer, RFC 3339",
        "schema": {"type": "string"},
    },
    "Age": {
        "description": "Seconds from X-Data-Timestamp to now",
        "schema": {"type": "integer"},
    },
    "X-Degraded": {
        "description": "Stores that did not respond; absent when all did",
        "schema": {"type": "string"},
    },
}
"""The headers of every data route, for OpenAPI."""


def stored(found: Found[Body], now_s: Callable[[], float]) -> Response:
    """Return a stored body unchanged; ``now_s`` is the clock behind ``Age``, epoch seconds."""
    return _response(found.value.json, found, found.value.ts_ms, now_s)


def encoded(
    value: Any, found: Found[Any], ts_ms: int | None, now_s: Callable[[], float]
) -> Response:
    """Return ``value`` as JSON, with the origin of ``found``.

    ``ts_ms`` is the time of its newest data, UTC epoch ms; None when it holds none.
    """
    return _response(_encode(value), found, ts_ms, now_s)


def documented(
    example: Any, *errors: int, headers: dict[str, dict[str, Any]] | None = None
) -> dict[int | str, dict[str, Any]]:
    """Return the responses of a route for OpenAPI: 200 with an example, and its problems."""
    good: dict[str, Any] = {} if headers is None else {"headers": headers}
    good["content"] = {"application/json": {"example": example}}
    return {200: good, **problems.responses(*errors)}


def _response(
    content: bytes, found: Found[Any], ts_ms: int | None, now_s: Callable[[], float]
) -> Response:
    headers = {"X-Cache": found.level}
    if ts_ms is not None:
        headers["X-Data-Timestamp"] = rfc3339(ts_ms)
        headers["Age"] = str(max(0, int(now_s() - ts_ms / 1000)))
    if found.down:
        headers["X-Degraded"] = ", ".join(found.down)
    return Response(content, headers=headers, media_type="application/json")
