"""The data routes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from fastapi import APIRouter, Depends, Response

from optionstream.api import answers, examples, models, params, problems
from optionstream.api.params import Cursor
from optionstream.api.stores import Found, Stores, moment_ms, nearest_expiry, start_ms
from optionstream.schemas.documents import Document
from optionstream.schemas.times import ist
from optionstream.schemas.topics import Namespace

_DEFAULT_BARS = 500
_DEFAULT_GAPS = 500


def data_router(stores: Stores, namespace: Namespace, now_s: Callable[[], float]) -> APIRouter:
    """The routes that read one namespace's ``stores``; ``now_s`` is the clock behind ``Age``."""
    router = APIRouter(prefix="/api", tags=["data"], dependencies=[Depends(params.only_known)])
    asked = _Asked(stores)

    @router.get(
        "/products",
        summary="Products with data",
        response_model=models.Products,
        responses=_ok(examples.PRODUCTS, 422, 503),
    )
    async def products() -> Response:
        """The products there is data of."""
        found = await stores.products()
        rows = [{"product": name, "timestamp": ist(ms)} for name, ms in found.value.items()]
        value = {"namespace": namespace.name, "products": rows}
        return answers.made(value, found, max(found.value.values(), default=None), now_s)

    @router.get(
        "/data/expiries/{product}",
        summary="Expiries with data",
        response_model=models.Expiries,
        responses=_ok(examples.EXPIRIES, 404, 422, 503),
    )
    async def expiries(product: params.Product) -> Response:
        """The expiries of a product that there are chains of."""
        found = await asked.expiries(product)
        value = {
            "product": product,
            "nearest": nearest_expiry(found.value),
            "expiries": [
                {"expiry": expiry, "timestamp": ist(ms)} for expiry, ms in found.value.items()
            ],
        }
        return answers.made(value, found, max(found.value.values()), now_s)

    @router.get(
        "/data/underlying/{product}",
        summary="Newest price",
        response_model=models.Underlying,
        responses=_ok(examples.UNDERLYING, 404, 422, 503),
    )
    async def underlying(product: params.Product) -> Response:
        """The newest tick of a product."""
        found = await stores.underlying(product)
        if found is None:
            raise await asked.missing(product, "tick")
        return answers.body(found, now_s)

    @router.get(
        "/data/chain/{product}",
        summary="Newest option chain with its analytics",
        response_model=models.Chain,
        responses=_ok(examples.CHAIN, 404, 422, 503),
    )
    async def chain(product: params.Product, expiry: params.Expiry = None) -> Response:
        """The newest option chain of one expiry, with its analytics."""
        wanted = await asked.expiry(product, expiry)
        found = await stores.chain(product, wanted)
        if found is None:
            raise await asked.no_expiry(product, wanted)
        return answers.body(found, now_s)

    @router.get(
        "/data/pcr/{product}",
        summary="Newest put-call ratios",
        response_model=models.Pcr,
        responses=_ok(examples.PCR, 404, 422, 503),
    )
    async def pcr(product: params.Product, expiry: params.Expiry = None) -> Response:
        """The newest put-call ratios of one expiry."""
        wanted = await asked.expiry(product, expiry)
        found = await stores.pcr(product, wanted)
        if found is None:
            raise await asked.no_expiry(product, wanted)
        return answers.body(found, now_s)

    @router.get(
        "/data/surface/{product}",
        summary="Newest volatility surface",
        response_model=models.Surface,
        responses=_ok(examples.SURFACE, 404, 422, 503),
    )
    async def surface(product: params.Product) -> Response:
        """Volatility by strike and expiry, and at fixed tenors between them."""
        found = await stores.surface(product)
        if found is None:
            raise await asked.missing(product, "volatility surface")
        return answers.body(found, now_s)

    @router.get(
        "/data/ohlc/{product}",
        summary="Bars: open, high, low, close, volume",
        response_model=models.Bars,
        responses=_ok(examples.BARS, 404, 422, 503),
    )
    async def ohlc(
        product: params.Product,
        interval: params.IntervalName = "1m",
        start: params.Start = None,
        end: params.End = None,
        limit: params.Limit = _DEFAULT_BARS,
        cursor: params.CursorText = None,
    ) -> Response:
        """Bars in the order of time: the newest revision of each, and the open window's so far.

        With `start`, pages go forward from there (`next_cursor`); without it the one page holds
        the last bars before `end`.
        """
        first, last = _range(product, interval, start, end, cursor)
        found = await stores.bars(product, interval, first, last, limit + (first is not None))
        if not found.value and product not in (await stores.products()).value:
            raise await asked.missing(product, "bar")
        page, rest = found.value[:limit], found.value[limit:]
        value = {
            "product": product,
            "interval": interval,
            "bars": page,
            "next_cursor": _next_cursor(product, interval, rest, last),
        }
        newest = max((moment_ms(row["known_at"]) for row in page), default=None)
        return answers.made(value, found, newest, now_s)

    @router.get(
        "/data/gaps/{product}",
        summary="What the ticks of a product lack",
        response_model=models.Gaps,
        responses=_ok(examples.GAPS, 404, 422, 503),
    )
    async def gaps(
        product: params.Product,
        start: params.Start = None,
        end: params.End = None,
        limit: params.Limit = _DEFAULT_GAPS,
    ) -> Response:
        """Missing numbers and silences that begin in the range, each in its newest revision.

        With `start` the first ones from there, without it the last ones before `end`.
        """
        first, last = _range(product, "", start, end, None)
        found = await stores.gaps(product, first, last, limit)
        if not found.value and product not in (await stores.products()).value:
            raise await asked.missing(product, "gap")
        newest = max((moment_ms(row["known_at"]) for row in found.value), default=None)
        return answers.made({"product": product, "gaps": found.value}, found, newest, now_s)

    return router


class _Asked:
    """What several routes ask: which expiry, and what there is instead of what is not."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    async def expiries(self, product: str) -> Found[dict[str, int]]:
        found = await self._stores.expiries(product)
        if not found.value:
            raise await self.missing(product, "option chain")
        return found

    async def expiry(self, product: str, wanted: date | None) -> str:
        """The expiry asked for, else the nearest."""
        if wanted is not None:
            return wanted.isoformat()
        return nearest_expiry((await self.expiries(product)).value)

    async def no_expiry(self, product: str, expiry: str) -> problems.ProblemError:
        known = await self.expiries(product)
        return problems.unknown_expiry(product, expiry, sorted(known.value))

    async def missing(self, product: str, what: str) -> problems.ProblemError:
        known = (await self._stores.products()).value
        if product in known:
            return problems.no_data(product, what)
        return problems.unknown_product(product, sorted(known))


def _range(
    product: str, interval: str, start: str | None, end: str | None, cursor: str | None
) -> tuple[int | None, int | None]:
    """First (inclusive) and last (exclusive) instant of a request, epoch ms."""
    first, last = params.instant_ms("start", start), params.instant_ms("end", end)
    if cursor is not None:
        at = params.read_cursor(cursor, product, interval)
        return at.start, at.end
    if first is not None and last is not None and first > last:
        raise problems.invalid("end", "lies before start")
    return first, last


def _next_cursor(product: str, interval: str, rest: list[Document], end: int | None) -> str | None:
    if not rest:
        return None
    return params.write_cursor(Cursor(product, interval, start_ms(rest[0]), end))


def _ok(example: Any, *errors: int) -> dict[int | str, dict[str, Any]]:
    """The answers of a route for OpenAPI: 200 with an example and the headers, and problems."""
    good = {"headers": answers.HEADERS, "content": {"application/json": {"example": example}}}
    return {200: good, **problems.responses(*errors)}
