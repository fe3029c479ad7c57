"""Responses: a JSON body, where it came from and how old it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from fastapi import Response

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
        "description": "Stores that were down on the way; absent when none was",
        "schema": {"type": "string"},
    },
}


def body(found: Found[Body], now_s: Callable[[], float]) -> Response:
    """A stored body, passed on as it is."""
    return _response(found.value.json, found, found.value.ts_ms, now_s)


def made(value: Any, found: Found[Any], ts_ms: int | None, now_s: Callable[[], float]) -> Response:
    """A body made here; ``ts_ms`` is its newest data's time, None when there is none."""
    return _response(_encode(value), found, ts_ms, now_s)


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
