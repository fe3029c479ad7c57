"""The application over stores that are down or made up: problems, headers, OpenAPI."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from fastapi.testclient import TestClient

from optionstream.api.app import create_app
from optionstream.api.routes import ROWS
from optionstream.api.stores import Stores
from optionstream.schemas import redis_keys
from optionstream.schemas.documents import (
    bar_document,
    chain_document,
    gap_document,
    pcr_document,
    surface_document,
)
from tests.harness.records import OPEN_MS, bar, chain, gap, hole, surface
from tests.unit.api.fakes import NAMESPACE, NOW_S, FakeMongo, FakeRedis


class Made:
    def __init__(self) -> None:
        self.redis = FakeRedis()
        self.mongo = FakeMongo()
        stores = Stores(self.redis, self.mongo)  # type: ignore[arg-type]
        app = create_app(stores, NAMESPACE, now_s=lambda: NOW_S)
        self.client = TestClient(app, raise_server_exceptions=False)
        self.get: Callable[..., Any] = self.client.get

    def cache_chain(self) -> None:
        one = chain(5)
        self.redis.scores[redis_keys.PRODUCTS] = {"NIFTY": OPEN_MS}
        self.redis.scores[redis_keys.expiries("NIFTY")] = {one.expiry: one.ts_event}
        self.redis.values[redis_keys.chain("NIFTY", one.expiry)] = chain_document(one)
        self.redis.values[redis_keys.pcr("NIFTY", one.expiry)] = pcr_document(one)


@pytest.fixture
def made() -> Iterator[Made]:
    one = Made()
    with one.client:
        yield one


def _problem(response: Any, status: int, code: str) -> Any:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-cache"] == "MISS"
    body = response.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"] == f"urn:optionstream:problem:{code}"
    assert body["instance"] == response.request.url.path
    assert "Traceback" not in response.text
    return body


def test_the_chain_comes_from_redis_with_its_age(made: Made) -> None:
    made.cache_chain()
    response = made.get("/api/data/chain/NIFTY")
    assert response.status_code == 200
    assert response.headers["x-cache"] == "L2"
    assert response.headers["x-data-timestamp"] == "2025-10-27T09:15:05+05:30"
    assert response.headers["age"] == "55"
    assert "x-degraded" not in response.headers
    assert response.json()["timestamp"] == "2025-10-27T09:15:05+05:30"


def test_history_answers_with_the_same_body_when_redis_is_down(made: Made) -> None:
    made.cache_chain()
    made.mongo.chains["NIFTY", "2025-10-28"] = chain_document(chain(5))
    for route in ("chain", "pcr"):
        cached = made.get(f"/api/data/{route}/NIFTY")
        made.redis.down = True
        stored = made.get(f"/api/data/{route}/NIFTY?expiry=2025-10-28")
        made.redis.down = False
        assert stored.headers["x-cache"] == "L3"
        assert stored.headers["x-degraded"] == "redis"
        assert stored.content == cached.content


def test_a_lifetime_that_ran_out_falls_back_to_history(made: Made) -> None:
    made.cache_chain()
    made.redis.values.clear()
    made.mongo.chains["NIFTY", "2025-10-28"] = chain_document(chain(5))
    response = made.get("/api/data/pcr/NIFTY")
    assert (response.status_code, response.headers["x-cache"]) == (200, "L3")


def test_404_names_what_exists(made: Made) -> None:
    made.cache_chain()
    body = _problem(made.get("/api/data/chain/FOO"), 404, "unknown_product")
    assert body["available"] == ["NIFTY"]
    wrong = made.get("/api/data/chain/NIFTY?expiry=2025-11-11")
    body = _problem(wrong, 404, "unknown_expiry")
    assert body["available"] == ["2025-10-28"]
    _problem(made.get("/api/data/underlying/NIFTY"), 404, "no_data")
    _problem(made.get("/api/data/ohlc/FOO"), 404, "unknown_product")
    _problem(made.get("/api/nothing"), 404, "not_found")
    _problem(made.client.post("/api/products"), 405, "method_not_allowed")


@pytest.mark.parametrize(
    ("path", "parameter", "where"),
    [
        ("/api/data/chain/nifty", "product", "path"),
        ("/api/data/chain/NIFTY?expiry=28-10-2025", "expiry", "query"),
        ("/api/data/chain/NIFTY?expiry=2025-02-30", "expiry", "query"),
        ("/api/data/ohlc/NIFTY?interval=2m", "interval", "query"),
        ("/api/data/ohlc/NIFTY?limit=0", "limit", "query"),
        ("/api/data/ohlc/NIFTY?limit=5001", "limit", "query"),
        ("/api/data/ohlc/NIFTY?start=soon", "start", "query"),
        ("/api/data/ohlc/NIFTY?start=5&end=4", "end", "query"),
        ("/api/data/gaps/NIFTY?start=5&end=4", "end", "query"),
        ("/api/data/gaps/NIFTY?limit=0", "limit", "query"),
        ("/api/data/chain/NIFTY?expiry_date=2025-10-28", "expiry_date", "query"),
        ("/api/data/ohlc/NIFTY?limit=5&intervall=5m", "intervall", "query"),
        ("/api/data/expiries/NIFTY?expiry=2025-10-28", "expiry", "query"),
        ("/api/products?product=NIFTY", "product", "query"),
    ],
)
def test_422_points_at_the_parameter(made: Made, path: str, parameter: str, where: str) -> None:
    body = _problem(made.get(path), 422, "invalid_parameter")
    assert [(one["parameter"], one["in"]) for one in body["errors"]] == [(parameter, where)]


def test_an_unknown_parameter_is_answered_with_the_known_ones(made: Made) -> None:
    body = _problem(made.get("/api/data/gaps/NIFTY?from=5"), 422, "invalid_parameter")
    assert (
        body["detail"] == "from: unknown parameter; this route has the parameters start, end, limit"
    )
    body = _problem(made.get("/api/products?from=5"), 422, "invalid_parameter")
    assert body["detail"] == "from: unknown parameter; this route has no query parameters"


def test_every_row_of_the_table_is_a_route_and_each_data_route_has_a_row(made: Made) -> None:
    paths = made.get("/openapi.json").json()["paths"]
    described = {path for path, one in paths.items() if one.get("get", {}).get("tags") == ["data"]}
    assert described == {f"/api{row.path}" for row in ROWS}
    for row in ROWS:
        operation = paths[f"/api{row.path}"]["get"]
        assert operation["summary"] == row.summary
        assert set(operation["responses"]) == {"200", *map(str, row.errors)}
        names = {one["name"] for one in operation.get("parameters", ())}
        assert ("product" in names) == ("{product}" in row.path)
        assert "self" not in names


def test_503_says_what_is_down(made: Made) -> None:
    made.redis.down = made.mongo.down = True
    for path in ("products", "data/chain/NIFTY", "data/underlying/NIFTY", "data/pcr/NIFTY"):
        response = made.get(f"/api/{path}")
        body = _problem(response, 503, "store_unavailable")
        assert body["down"] == {"redis": "connection refused", "mongodb": "no primary"}
        assert response.headers["retry-after"] == "1"
    body = _problem(made.get("/api/data/ohlc/NIFTY"), 503, "store_unavailable")
    assert body["down"] == {"mongodb": "no primary"}


def test_ready_has_a_line_for_each_dependency(made: Made) -> None:
    assert made.get("/health/ready").json()["checks"] == {"redis": "ok", "mongodb": "ok"}
    made.mongo.down = True
    body = _problem(made.get("/health/ready"), 503, "not_ready")
    assert body["checks"] == {"redis": "ok", "mongodb": "down: no primary"}
    assert made.get("/health/live").json() == {"status": "ok"}


def test_a_failure_of_ours_shows_no_trace(made: Made) -> None:
    made.redis.values[redis_keys.underlying("NIFTY")] = {"no": "timestamp"}
    body = _problem(made.get("/api/data/underlying/NIFTY"), 500, "internal")
    assert "timestamp" not in body["detail"]


def test_pages_follow_each_other_without_gap_or_repetition(made: Made) -> None:
    made.mongo.rows = [bar_document(bar(at)) for at in range(7)]
    made.redis.values[redis_keys.ohlc("NIFTY", "1m")] = bar_document(bar(7, 0, 3))
    path = f"/api/data/ohlc/NIFTY?limit=3&start={OPEN_MS}"
    seen: list[tuple[str, int]] = []
    pages = 0
    cursor: str | None = ""
    while cursor is not None:
        page = made.get(path + (f"&cursor={cursor}" if cursor else "")).json()
        seen += [(row["start"][11:16], row["revision"]) for row in page["bars"]]
        cursor = page["next_cursor"]
        pages += 1
    assert seen == [(f"09:{15 + at}", 1) for at in range(7)] + [("09:22", 0)]
    assert pages == 3


def test_without_a_start_the_page_holds_the_last_bars(made: Made) -> None:
    made.mongo.rows = [bar_document(bar(at)) for at in range(7)]
    made.redis.down = True
    response = made.get("/api/data/ohlc/NIFTY?limit=2")
    assert [row["start"][11:16] for row in response.json()["bars"]] == ["09:20", "09:21"]
    assert response.json()["next_cursor"] is None
    assert response.headers["x-degraded"] == "redis"


def test_gaps_come_from_history_alone(made: Made) -> None:
    made.mongo.rows = [bar_document(bar(0))]
    made.mongo.lacking = [gap_document(gap(60)), gap_document(hole())]
    made.redis.down = True
    response = made.get("/api/data/gaps/NIFTY")
    assert response.headers["x-cache"] == "L3"
    rows = response.json()["gaps"]
    assert [(row["kind"], row["start"], row["missing"]) for row in rows] == [
        ("silence", "2025-10-27T09:16:00+05:30", []),
        ("sequence", "2025-10-27T09:16:30+05:30", [[5, 9]]),
    ]
    made.redis.down = False
    made.mongo.lacking = []
    assert made.get("/api/data/gaps/NIFTY").json() == {"product": "NIFTY", "gaps": []}
    _problem(made.get("/api/data/gaps/FOO"), 404, "unknown_product")
    made.mongo.down = True
    body = _problem(made.get("/api/data/gaps/NIFTY"), 503, "store_unavailable")
    assert body["down"] == {"mongodb": "no primary"}


def test_a_surface_comes_from_redis_and_then_from_history(made: Made) -> None:
    made.cache_chain()
    _problem(made.get("/api/data/surface/NIFTY"), 404, "no_data")
    _problem(made.get("/api/data/surface/FOO"), 404, "unknown_product")
    made.mongo.surfaces["NIFTY"] = surface_document(surface())
    stored = made.get("/api/data/surface/NIFTY")
    assert (stored.status_code, stored.headers["X-Cache"]) == (200, "L3")
    made.redis.values[redis_keys.surface("NIFTY")] = surface_document(surface())
    cached = made.get("/api/data/surface/NIFTY")
    assert cached.headers["X-Cache"] == "L2"
    assert cached.json() == stored.json()
    assert cached.json()["grid"]["reason"] == [[None], ["outside_expiries"]]
    made.redis.down = made.mongo.down = True
    _problem(made.get("/api/data/surface/NIFTY"), 503, "store_unavailable")
    _problem(made.get("/api/data/surface/NIFTY?expiry=2025-10-28"), 422, "invalid_parameter")


def test_openapi_is_whole_and_its_examples_fit_their_models(made: Made) -> None:
    from optionstream.api import examples, models

    document = made.get("/openapi.json").json()
    text = msgspec.json.encode(document).decode()
    wanted = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert wanted <= set(document["components"]["schemas"])
    for model, example in (
        (models.Chain, examples.CHAIN),
        (models.Pcr, examples.PCR),
        (models.Underlying, examples.UNDERLYING),
        (models.Bars, examples.BARS),
        (models.Surface, examples.SURFACE),
        (models.Gaps, examples.GAPS),
        (models.Expiries, examples.EXPIRIES),
        (models.Products, examples.PRODUCTS),
    ):
        assert set(model.model_validate(example).model_dump()) == set(example)


def test_the_models_describe_the_documents_exactly() -> None:
    from optionstream.api import models

    chain_body = chain_document(chain())
    assert set(models.Chain.model_fields) == set(chain_body)
    assert set(models.Leg.model_fields) == set(chain_body["calls"][0])
    assert set(models.Metadata.model_fields) == set(chain_body["metadata"])
    assert set(models.Pcr.model_fields) == set(pcr_document(chain()))
    surface_body = surface_document(surface())
    assert set(models.Surface.model_fields) == set(surface_body)
    assert set(models.SurfaceGrid.model_fields) == set(surface_body["grid"])
    assert set(models.Smile.model_fields) == set(surface_body["smiles"][0])
    assert set(models.SmilePoint.model_fields) == set(surface_body["smiles"][0]["points"][0])
    assert set(models.Gap.model_fields) == set(gap_document(gap()))
    assert set(models.Greeks.model_fields) == set(chain_body["calls"][0]["greeks"])
    assert set(models.Bar.model_fields) == set(bar_document(bar()))


def test_the_docs_page_loads_nothing_from_another_host(made: Made) -> None:
    page = made.get("/docs")
    assert page.status_code == 200
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert assets
    for asset in assets:
        assert asset.startswith(str(made.client.base_url)), f"{asset} is another host's"
        assert made.get(asset).status_code == 200
