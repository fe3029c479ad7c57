"""Errors as RFC 9457 problem documents with stable codes; never a stack trace."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from optionstream.schemas import replays

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

UNKNOWN_PRODUCT = "unknown_product"
UNKNOWN_EXPIRY = "unknown_expiry"
UNKNOWN_REPLAY = "unknown_replay"
NO_DATA = "no_data"
INVALID_PARAMETER = "invalid_parameter"
INVALID_CURSOR = "invalid_cursor"
REPLAY_NOT_RUNNING = "replay_not_running"
REPLAY_REFUSED = "replay_refused"
REPLAY_SILENT = "replay_silent"
STORE_UNAVAILABLE = "store_unavailable"
NOT_READY = "not_ready"
NOT_FOUND = "not_found"
METHOD_NOT_ALLOWED = "method_not_allowed"
INTERNAL = "internal"

TITLES: dict[str, str] = {
    UNKNOWN_PRODUCT: "Unknown product",
    UNKNOWN_EXPIRY: "Unknown expiry",
    UNKNOWN_REPLAY: "Unknown replay",
    NO_DATA: "No data of this kind yet",
    INVALID_PARAMETER: "Invalid parameter",
    INVALID_CURSOR: "Invalid cursor",
    REPLAY_NOT_RUNNING: "Replay is not running",
    REPLAY_REFUSED: "Replay refused the command",
    REPLAY_SILENT: "Replay is not responding",
    STORE_UNAVAILABLE: "Store unavailable",
    NOT_READY: "Not ready",
    NOT_FOUND: "No such route",
    METHOD_NOT_ALLOWED: "Method not allowed",
    INTERNAL: "Internal server error",
}
"""Title of every code."""


class Problem(BaseModel):
    """RFC 9457 problem details. ``code`` is stable; ``detail`` is for people."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="urn:optionstream:problem:<code>")
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable; one of " + ", ".join(TITLES))
    instance: str = Field(description="The path of the request")


class ProblemError(Exception):
    """A problem to answer with. ``extra`` are further members of the document."""

    def __init__(self, status: int, code: str, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.extra = extra


def unknown_product(product: str, known: Sequence[str]) -> ProblemError:
    """Return the 404 for a product without data; ``available`` lists the products with data."""
    there = ", ".join(known) or "none yet"
    detail = f"No data for product {product}. Products with data: {there}."
    return ProblemError(404, UNKNOWN_PRODUCT, detail, available=list(known))


def unknown_expiry(product: str, expiry: str, known: Sequence[str]) -> ProblemError:
    """Return the 404 for an expiry without a chain; ``available`` lists those with one."""
    there = ", ".join(known) or "none yet"
    detail = f"No chain of {product} for expiry {expiry}. Expiries with data: {there}."
    return ProblemError(404, UNKNOWN_EXPIRY, detail, available=list(known))


def no_data(product: str, what: str) -> ProblemError:
    """Return the 404 for a known product that has no data of this kind yet."""
    return ProblemError(404, NO_DATA, f"No {what} of {product} yet.")


def invalid(parameter: str, detail: str, where: str = "query") -> ProblemError:
    """Return the 422 that names one parameter and ``where`` it stands: query, path or body."""
    errors = [{"parameter": parameter, "in": where, "detail": detail}]
    return ProblemError(422, INVALID_PARAMETER, f"{parameter}: {detail}", errors=errors)


def invalid_cursor(detail: str) -> ProblemError:
    """Return the 422 for a cursor that cannot be used."""
    errors = [{"parameter": "cursor", "in": "query", "detail": detail}]
    return ProblemError(422, INVALID_CURSOR, f"cursor: {detail}", errors=errors)


def unavailable(down: Mapping[str, str]) -> ProblemError:
    """Return the 503 for stores that did not respond; ``down`` maps each to the cause."""
    detail = f"{' and '.join(down)} not responding. Try again shortly."
    return ProblemError(503, STORE_UNAVAILABLE, detail, down=dict(down))


def unknown_replay(name: str, known: Sequence[str]) -> ProblemError:
    """Return the 404 for an unknown replay id; ``available`` lists the known ones."""
    return ProblemError(404, UNKNOWN_REPLAY, replays.unknown(name, list(known)), available=known)


def document(status: int, code: str, detail: str, instance: str, **extra: Any) -> dict[str, Any]:
    """Return the problem document; ``extra`` are members beyond those of RFC 9457."""
    return {
        "type": f"urn:optionstream:problem:{code}",
        "title": TITLES[code],
        "status": status,
        "detail": detail,
        "code": code,
        "instance": instance,
        **extra,
    }


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the problem responses of a route for OpenAPI."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Answer every error of ``app`` with a problem document."""

    @app.exception_handler(ProblemError)
    async def on_problem(request: Request, error: ProblemError) -> JSONResponse:
        return _response(request, error.status, error.code, error.detail, **error.extra)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [_parameter(one) for one in error.errors()]
        detail = "; ".join(f"{one['parameter']}: {one['detail']}" for one in errors)
        return _response(request, 422, INVALID_PARAMETER, detail, errors=errors)

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> JSONResponse:
        code = {404: NOT_FOUND, 405: METHOD_NOT_ALLOWED}.get(error.status_code, INTERNAL)
        detail = f"{request.method} {request.url.path}: {error.detail}. See /docs for the routes."
        response = _response(request, error.status_code, code, detail)
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    async def on_failure(request: Request, error: Exception) -> JSONResponse:
        logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return _response(request, 500, INTERNAL, "The server failed. Its log has the cause.")


def _response(request: Request, status: int, code: str, detail: str, **extra: Any) -> JSONResponse:
    body = document(status, code, detail, request.url.path, **extra)
    headers = {"X-Cache": "MISS"}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "1"
    return JSONResponse(body, status, headers, MEDIA_TYPE)


def _parameter(error: Mapping[str, Any]) -> dict[str, Any]:
    where, *path = error["loc"]
    return {"parameter": ".".join(map(str, path)), "in": where, "detail": error["msg"]}
