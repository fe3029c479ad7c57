"""What Redis holds, read without the sinks' or the API's code."""

from __future__ import annotations

from typing import Any

import msgspec
from redis import Redis

from optionstream.schemas import redis_keys
from optionstream.schemas.topics import Namespace


class LatestValues:
    """The values of the latest state (``PATTERNS``) of one namespace, by their key without the
    namespace's prefix."""

    PATTERNS = (
        "latest:underlying:*",
        "latest:chain:*",
        "latest:pcr:*",
        "latest:option:*",
        "ohlc:*",
        "volatility_surface:*",
    )

    def __init__(self, client: Redis, namespace: Namespace) -> None:
        self._client = client
        self._namespace = namespace

    def read(self) -> dict[str, dict[str, Any] | None]:
        """Documents; None where the value is no JSON object."""
        prefix = self._namespace.redis("")
        found = {}
        for pattern in self.PATTERNS:
            for raw in self._client.scan_iter(match=prefix + pattern, count=1_000):
                key = raw.decode() if isinstance(raw, bytes) else str(raw)
                if not key.endswith(redis_keys.GUARD_SUFFIX):
                    found[key[len(prefix) :]] = self._document(key)
        return found

    def _document(self, key: str) -> dict[str, Any] | None:
        if self._client.type(key) not in (b"string", "string"):
            return None
        value: Any = self._client.get(key)
        try:
            return msgspec.json.decode(value or b"", type=dict[str, Any])
        except msgspec.DecodeError:
            return None
