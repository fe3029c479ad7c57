"""The data routes: a table of rows, and the methods that answer them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any, NamedTuple

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from optionstream.api import answers, examples, models, params, problems
from optionstream.api.params import Cursor
from optionstream.api.stores import Body, Found, Stores, moment_ms, nearest_expiry, start_ms
from optionstream.schemas.documents import Document
from optionstream.schemas.times import ist
from optionstream.schemas.topics import Namespace

_DEFAULT_ROWS = 500


class DataRoutes:
    """The answers of the data routes over one namespace's stores.

    ``now_s`` is the clock behind the ``Age`` header, seconds since the epoch. Every method raises
    ProblemError; its docstring is the route's description in OpenAPI.
    """

    def __init__(self, stores: Stores, namespace: Namespace, now_s: Callable[[], float]) -> None:
        self._stores = stores
        self._namespace = namespace
        self._now_s = now_s

    async def list_products(self) -> Response:
        """Return every product with data, each with its newest event time."""
        found = await self._stores.products()
        rows = [{"product": name, "timestamp": ist(ms)} for name, ms in found.value.items()]
        value = {"namespace": self._namespace.name, "products": rows}
        return answers.encoded(value, found, max(found.value.values(), default=None), self._now_s)

    async def list_expiries(self, product: params.Product) -> Response:
        """Return the expiries of a product's chains, and which of them is the nearest."""
        found = await self._expiries(product)
        rows = [{"expiry": expiry, "timestamp": ist(ms)} for expiry, ms in found.value.items()]
        value = {"product": product, "nearest": nearest_expiry(found.value), "expiries": rows}
        return answers.encoded(value, found, max(found.value.values()), self._now_s)

    async def get_underlying(self, product: params.Product) -> Response:
        """Return the newest tick of a product."""
        return await self._of_product(self._stores.underlying, product, "tick")

    async def get_chain(self, product: params.Product, expiry: params.Expiry = None) -> Response:
        """Return the newest option chain of one expiry, with its analytics."""
        return await self._of_expiry(self._stores.chain, product, expiry)

    async def get_pcr(self, product: params.Product, expiry: params.Expiry = None) -> Response:
        """Return the newest put-call ratios of one expiry."""
        return await self._of_expiry(self._stores.pcr, product, expiry)

    async def get_surface(self, product: params.Product) -> Response:
        """Return volatilities by strike and expiry, and at fixed tenors between them."""
        return await self._of_product(self._stores.surface, product, "volatility surface")

    async def list_bars(
        self,
        product: params.Product,
        interval: params.IntervalName = "1m",
        start: params.Start = None,
        end: params.End = None,
        limit: params.Limit = _DEFAULT_ROWS,
        cursor: params.CursorText = None,
    ) -> Response:
        """Return bars in the order of time, each in its newest revision, the open window included.

        With `start`, pages go forward from there (`next_cursor`). Without it, one page holds the
        last bars before `end`.
        """
        first, last = params.read_range(start, end)
        if cursor is not None:
            place = params.read_cursor(cursor, product, interval)
            first, last = place.start, place.end
        found = await self._stores.bars(product, interval, first, last, limit + (first is not None))
        await self._check_product(found, product, "bar")
        page, rest = found.value[:limit], found.value[limit:]
        value = {
            "product": product,
            "interval": interval,
            "bars": page,
            "next_cursor": _next_cursor(product, interval, rest, last),
        }
        return answers.encoded(value, found, _newest_known_ms(page), self._now_s)

    async def list_gaps(
        self,
        product: params.Product,
        start: params.Start = None,
        end: params.End = None,
        limit: params.Limit = _DEFAULT_ROWS,
    ) -> Response:
        """Return missing sequence numbers and silences that start in the range.

        Each comes in its newest revision. With `start` the first ones from there, without it the
        last ones before `end`.
        """
        first, last = params.read_range(start, end)
        found = await self._stores.gaps(product, first, last, limit)
        await self._check_product(found, product, "gap")
        value = {"product": product, "gaps": found.value}
        return answers.encoded(value, found, _newest_known_ms(found.value), self._now_s)

    async def _of_product(
        self, read: Callable[[str], Awaitable[Found[Body] | None]], product: str, what: str
    ) -> Response:
        found = await read(product)
        if found is None:
            raise await self._missing(product, what)
        return answers.stored(found, self._now_s)

    async def _of_expiry(
        self,
        read: Callable[[str, str], Awaitable[Found[Body] | None]],
        product: str,
        expiry: date | None,
    ) -> Response:
        """Answer with the document of ``expiry``, or of the nearest if it is None."""
        if expiry is not None:
            name = expiry.isoformat()
        else:
            name = nearest_expiry((await self._expiries(product)).value)
        found = await read(product, name)
        if found is None:
            known = await self._expiries(product)
            raise problems.unknown_expiry(product, name, sorted(known.value))
        return answers.stored(found, self._now_s)

    async def _expiries(self, product: str) -> Found[dict[str, int]]:
        found = await self._stores.expiries(product)
        if not found.value:
            raise await self._missing(product, "option chain")
        return found

    async def _check_product(self, found: Found[list[Document]], product: str, what: str) -> None:
        """Raise the 404 for a product that has no rows and no other data either."""
        if not found.value and product not in (await self._stores.products()).value:
            raise await self._missing(product, what)

    async def _missing(self, product: str, what: str) -> problems.ProblemError:
        known = (await self._stores.products()).value
        if product in known:
            return problems.no_data(product, what)
        return problems.unknown_product(product, sorted(known))


class Row(NamedTuple):
    """A GET route below ``/api``, as OpenAPI describes it."""

    path: str
    endpoint: Callable[..., Awaitable[Response]]
    model: type[BaseModel]
    example: dict[str, Any]
    summary: str

    @property
    def name(self) -> str:
        """The last part of the path before the product."""
        return self.path.removesuffix("/{product}").rpartition("/")[2]

    @property
    def errors(self) -> tuple[int, ...]:
        """The status codes of its problems."""
        return (404, 422, 503) if "{product}" in self.path else (422, 503)


ROWS: tuple[Row, ...] = (
    Row(
        "/products",
        DataRoutes.list_products,
        models.Products,
        examples.PRODUCTS,
        "Products with data",
    ),
    Row(
        "/data/expiries/{product}",
        DataRoutes.list_expiries,
        models.Expiries,
        examples.EXPIRIES,
        "Expiries with data",
    ),
    Row(
        "/data/underlying/{product}",
        DataRoutes.get_underlying,
        models.Underlying,
        examples.UNDERLYING,
        "Newest price",
    ),
    Row(
        "/data/chain/{product}",
        DataRoutes.get_chain,
        models.Chain,
        examples.CHAIN,
        "Newest option chain with its analytics",
    ),
    Row(
        "/data/pcr/{product}",
        DataRoutes.get_pcr,
        models.Pcr,
        examples.PCR,
        "Newest put-call ratios",
    ),
    Row(
        "/data/surface/{product}",
        DataRoutes.get_surface,
        models.Surface,
        examples.SURFACE,
        "Newest volatility surface",
    ),
    Row(
        "/data/ohlc/{product}",
        DataRoutes.list_bars,
        models.Bars,
        examples.BARS,
        "Bars: open, high, low, close, volume",
    ),
    Row(
        "/data/gaps/{product}",
        DataRoutes.list_gaps,
        models.Gaps,
        examples.GAPS,
        "Gaps in a product's ticks",
    ),
)
"""The data routes, in the order of OpenAPI. A new route is a method and a row."""


def data_router(stores: Stores, namespace: Namespace, now_s: Callable[[], float]) -> APIRouter:
    """Return the router of ``ROWS`` over one namespace's stores."""
    router = APIRouter(prefix="/api", tags=["data"], dependencies=[Depends(params.only_known)])
    routes = DataRoutes(stores, namespace, now_s)
    for row in ROWS:
        router.add_api_route(
            row.path,
            getattr(routes, row.endpoint.__name__),
            name=row.name,
            summary=row.summary,
            response_model=row.model,
            responses=answers.documented(row.example, *row.errors, headers=answers.HEADERS),
        )
    return router


def _next_cursor(product: str, interval: str, rest: list[Document], end: int | None) -> str | None:
    if not rest:
        return None
    return params.write_cursor(Cursor(product, interval, start_ms(rest[0]), end))


def _newest_known_ms(rows: list[Document]) -> int | None:
    """Return the latest ``known_at`` of the rows, epoch ms; None without rows."""
    return max((moment_ms(row["known_at"]) for row in rows), default=None)
