"""Input files made by code, in the forms that the feeds read."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import zstandard

from optionstream.producers.feeds import FeedHints, open_feed
from optionstream.producers.feeds.files.content import Source
from optionstream.producers.feeds.format import FeedInput
from optionstream.schemas.events import ChainSnapshot, MarketEvent
from optionstream.schemas.times import to_ms

NO_HINTS = FeedHints()


def at(text: str) -> int:
    """Epoch ms of ``2026-01-06 09:15:00`` in Indian time."""
    return to_ms(datetime.fromisoformat(text + "+05:30"))


def leg(**changes: Any) -> dict[str, Any]:
    """A contract as the old endpoint serves it."""
    served: dict[str, Any] = {
        "underlying": "NIFTY",
        "expiryDate": "13-Jan-2026",
        "identifier": "made by a test",
        "openInterest": 120,
        "changeinOpenInterest": -5,
        "totalTradedVolume": 900,
        "impliedVolatility": 12.5,
        "lastPrice": 101.5,
        "bidprice": 101.2,
        "askPrice": 101.9,
        "underlyingValue": 26000.4,
    }
    return {**served, **changes}


def row(strike: float, expiry: str = "13-Jan-2026", **sides: Any) -> dict[str, Any]:
    """One strike; both legs unless ``CE``/``PE`` are given."""
    legs = sides or {"CE": leg(), "PE": leg()}
    return {"strikePrice": strike, "expiryDate": expiry, **legs}


def body(rows: list[dict[str, Any]], **records: Any) -> dict[str, Any]:
    """A whole body of the old endpoint."""
    served = {
        "expiryDates": [],
        "data": rows,
        "timestamp": "06-Jan-2026 10:31:07",
        "underlyingValue": 26000.4,
    }
    return {"records": {**served, **records}, "filtered": {"data": []}}


def packed(content: bytes, how: str) -> bytes:
    """Plain, gzip or zstd."""
    if how == "gzip":
        return gzip.compress(content)
    return zstandard.ZstdCompressor().compress(content) if how == "zstd" else content


def written(path: Path, content: Any) -> Path:
    """Write bytes, text or, for anything else, JSON."""
    if isinstance(content, str):
        content = content.encode()
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def fed(content: bytes = b"", hints: FeedHints = NO_HINTS, frame_ticks: int = 1000) -> FeedInput:
    """The input of a reader, called ``a``, without a file."""
    return FeedInput(Source(Path("a"), partial(io.BytesIO, content)), hints, frame_ticks, [])


def events_of(
    path: Path, hints: FeedHints = NO_HINTS, frame_ticks: int = 1000
) -> list[MarketEvent]:
    """Every event of a file that must have no problems."""
    feed = open_feed(path, hints, frame_ticks)
    events = list(feed.events())
    assert feed.problems == []
    return events


def chains_of(path: Path, hints: FeedHints = NO_HINTS) -> list[ChainSnapshot]:
    events = events_of(path, hints)
    assert all(isinstance(event, ChainSnapshot) for event in events)
    return [event for event in events if isinstance(event, ChainSnapshot)]


def tick_lines(rows: Iterable[tuple[str, float]], end: str = "\n") -> str:
    """``2026-01-06 09:15:00,26000.5`` and so on."""
    return "".join(f"{stamp},{price}{end}" for stamp, price in rows)
