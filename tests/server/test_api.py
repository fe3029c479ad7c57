"""The interface over real Redis and MongoDB, filled by the real sinks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from optionstream.api.app import create_app
from optionstream.api.stores import Stores
from optionstream.deploy.stack import free_port
from optionstream.schemas import topics
from optionstream.schemas.documents import TICKS
from tests.harness.records import bar, chain, frame, gap, hole, surface
from tests.harness.sink_world import World, world

pytestmark = pytest.mark.server

ROUTES = (
    "/api/products",
    "/api/data/expiries/NIFTY",
    "/api/data/underlying/NIFTY",
    "/api/data/chain/NIFTY",
    "/api/data/chain/NIFTY?expiry=2025-11-04",
    "/api/data/pcr/NIFTY",
    "/api/data/surface/NIFTY",
    "/api/data/ohlc/NIFTY?interval=1m",
)


@pytest.fixture(scope="module")
def filled(addresses: Any) -> Iterator[World]:
    """Ticks, bars of which the last is open, and two expiries, written by both sinks."""
    with world(addresses) as here:
        here.send(topics.UNDERLYING, *(frame(at * 60, 60) for at in range(10)))
        here.send(topics.UNDERLYING, frame(900, 1, ts_ms=[4_070_908_800_000]))
        here.send(topics.OHLC, *(bar(at, 1) for at in range(9)), bar(3, 2), bar(9, 0, 4))
        here.send(topics.CHAIN, *(chain(at) for at in range(5)), chain(4, "2025-11-04"))
        here.send(topics.SURFACE, surface(2, 3), surface(3, 3), surface(1, 3))
        here.send(topics.GAPS, gap(120), gap(300), gap(120, 2, filled=True), hole())
        here.send(topics.GAPS, hole(5, 2, [(7, 9)]), gap(0, product="BANKNIFTY"), gap(300))
        for group in ("latest", "history"):
            here.worker(group)
        for group in ("latest", "history"):
            here.wait_until_read(group)
        yield here


def _client(here: World, *, redis: str | None = None, mongo: str | None = None) -> TestClient:
    stores = Stores.connect(
        mongo=mongo or here.addresses.mongo,
        redis=redis or here.addresses.redis,
        namespace=here.namespace,
    )
    return TestClient(create_app(stores, here.namespace))


@pytest.fixture
def nobody() -> int:
    """A port at which nobody listens."""
    return free_port()


def test_redis_answers_first_and_history_the_same_when_it_is_down(
    filled: World, nobody: int
) -> None:
    with _client(filled) as whole, _client(filled, redis=f"redis://127.0.0.1:{nobody}") as degraded:
        for route in ROUTES[:-1]:
            cached, stored = whole.get(route), degraded.get(route)
            assert (cached.status_code, stored.status_code) == (200, 200), (route, stored.text)
            assert (cached.headers["x-cache"], stored.headers["x-cache"]) == ("L2", "L3")
            assert stored.headers["x-degraded"] == "redis"
            assert cached.json() == stored.json(), route
            assert cached.headers["x-data-timestamp"] == stored.headers["x-data-timestamp"]


def test_bars_are_the_newest_revisions_and_end_with_the_open_window(filled: World) -> None:
    with _client(filled) as client:
        found = client.get("/api/data/ohlc/NIFTY?interval=1m").json()["bars"]
    assert [(row["start"][11:16], row["revision"]) for row in found] == [
        (f"09:{15 + at}", {3: 2, 9: 0}.get(at, 1)) for at in range(10)
    ]
    assert [row["final"] for row in found] == [True] * 9 + [False]


def test_pages_of_bars_join_without_gap(filled: World) -> None:
    starts: list[str] = []
    with _client(filled) as client:
        query = "start=2025-10-27T09:16:00%2B05:30&end=2025-10-27T09:24:00%2B05:30&limit=3"
        cursor: str | None = ""
        while cursor is not None:
            page = client.get(f"/api/data/ohlc/NIFTY?{query}" + (cursor and f"&cursor={cursor}"))
            starts += [row["start"][11:16] for row in page.json()["bars"]]
            cursor = page.json()["next_cursor"]
    assert starts == [f"09:{16 + at}" for at in range(8)]


def test_gaps_are_their_newest_revisions_in_the_order_of_time(filled: World) -> None:
    def told(query: str) -> list[tuple[str, int, bool, list[list[int]]]]:
        with _client(filled) as client:
            rows = client.get(f"/api/data/gaps/NIFTY{query}").json()["gaps"]
        fields = ("start", "revision", "filled", "missing")
        return [(row["start"][11:19], *(row[name] for name in fields[1:])) for row in rows]

    every = [
        ("09:16:30", 2, False, [[7, 9]]),
        ("09:17:00", 2, True, []),
        ("09:20:00", 1, False, []),
    ]
    assert told("") == every
    assert told("?limit=2") == every[1:]
    assert told("?start=2025-10-27T09:16:00%2B05:30&limit=2") == every[:2]
    assert told("?end=2025-10-27T09:17:00%2B05:30") == every[:1]


def test_the_nearest_expiry_is_the_default(filled: World) -> None:
    with _client(filled) as client:
        assert client.get("/api/data/chain/NIFTY").json()["expiry"] == "2025-10-28"
        missing = client.get("/api/data/pcr/NIFTY?expiry=2026-01-01")
    assert (missing.status_code, missing.json()["available"]) == (404, ["2025-10-28", "2025-11-04"])


def test_surplus_rows_are_not_the_newest_tick(filled: World, nobody: int) -> None:
    """What a sink's crash left behind, newer than everything that was committed."""
    with _client(filled, redis=f"redis://127.0.0.1:{nobody}") as degraded:
        before = degraded.get("/api/data/underlying/NIFTY").json()
        row = filled.db[TICKS].find_one({"seq": before["seq"]}, {"_id": 0})
        assert row is not None
        filled.db[TICKS].insert_one({**row, "o": 10**6, "price": 1.0})
        assert degraded.get("/api/data/underlying/NIFTY").json() == before


def test_ready_names_what_is_down(filled: World, nobody: int) -> None:
    with _client(filled) as client:
        assert client.get("/health/ready").json()["status"] == "ready"
    mongo = f"mongodb://127.0.0.1:{nobody}/?replicaSet=rs0"
    with _client(filled, mongo=mongo) as client:
        response = client.get("/health/ready")
        assert response.status_code == 503
        checks = response.json()["checks"]
        assert checks["redis"] == "ok"
        assert checks["mongodb"].startswith("down: ")
        assert client.get("/health/live").status_code == 200
        # Redis still answers for the newest; what only history has is a 503.
        assert client.get("/api/data/chain/NIFTY").headers["x-cache"] == "L2"
        assert client.get("/api/data/ohlc/NIFTY").json()["code"] == "store_unavailable"
    with _client(filled, redis=f"redis://127.0.0.1:{nobody}") as client:
        assert client.get("/health/ready").status_code == 503
