"""``surface``: the volatility surface of files, offline, with the core that the stream uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optionstream.deploy.cli import files, inspecting, output
from optionstream.deploy.cli.options import (
    ExpiryDateOption,
    IvModeName,
    IvModeOption,
    JsonOption,
    PathsArgument,
    ProductOption,
    ProductsOption,
    TimestampOption,
    parse_products,
)
from optionstream.schemas.errors import InputError

if TYPE_CHECKING:
    from optionstream.producers.feeds import FeedHints
    from optionstream.schemas.derived import VolatilitySurface

_COLUMNS = (
    "product",
    "timestamp",
    "expiry",
    "days",
    "forward",
    "atm_iv",
    "risk_reversal_25",
    "butterfly_25",
    "strikes",
    "flags",
)
_DAYS_A_YEAR = 365

Row = dict[str, Any]


def surface(
    paths: PathsArgument,
    every: Annotated[
        bool, typer.Option("--every", help="Each surface of the files, not the last of a product.")
    ] = False,
    products: ProductsOption = None,
    product: ProductOption = None,
    expiry_date: ExpiryDateOption = None,
    timestamp: TimestampOption = None,
    iv_mode: IvModeOption = IvModeName.BLACK76,
    as_json: JsonOption = False,
) -> None:
    """Volatility by strike and expiry: smiles, skew and term structure of files.

    Computed here, without any server, as the stream does, from all expiries of a product that the
    files hold. The table has a row for each expiry; --json gives whole surfaces: every smile with
    its points, and volatilities at fixed tenors between them. Volatilities are decimals.

    \b
    Examples:
      optionstream surface chain.json
      optionstream surface captures/ --every --json
      optionstream surface day.jsonl.zst --products NIFTY
    """
    failures = output.Failures()
    given = files.hints(product, expiry_date, timestamp)
    chosen = parse_products(products)
    found = _surfaces(files.expand(paths, failures), given, chosen, iv_mode, failures, as_json)
    told = found if every else _last(found)
    if as_json:
        _lines(told)
    else:
        output.table("", _COLUMNS, (row for one in told for row in _rows(one)))
    failures.finish()


def _surfaces(
    paths: list[Path],
    given: FeedHints,
    chosen: frozenset[str] | None,
    mode: IvModeName,
    failures: output.Failures,
    as_json: bool,
) -> Iterator[VolatilitySurface]:
    """The surfaces of the chosen products in all files, at the end those whose capture waits."""
    from optionstream.streams.core.surface.surfaces import ProductSurfaces

    analyser = inspecting.analyser_of(mode)
    products: dict[str, ProductSurfaces] = {}
    with output.progress(as_json) as bars:
        task = bars.add_task("reading", total=len(paths), detail="")
        for path in paths:
            bars.update(task, detail=path.name)
            found = False
            for chain in inspecting.chains_of(path, given, failures):
                found = True
                if chosen is not None and chain.product not in chosen:
                    continue
                surfaces = products.setdefault(chain.product, ProductSurfaces())
                yield from surfaces.add(analyser.analyse(chain))
            if not found and not failures.has(path):
                failures.add(InputError(str(path), "holds no option chain"))
            bars.advance(task)
    for name, surfaces in products.items():
        yield from surfaces.finish(name)


def _last(found: Iterable[VolatilitySurface]) -> list[VolatilitySurface]:
    """The last of each product, in the order in which products came."""
    return list({one.product: one for one in found}.values())


def _lines(found: Iterable[VolatilitySurface]) -> None:
    from optionstream.schemas.documents import surface_document

    for one in found:
        output.json_line(surface_document(one))


def _rows(surface: VolatilitySurface) -> Iterator[Row]:
    """A row for each smile."""
    from optionstream.schemas.times import rfc3339

    for smile in surface.smiles:
        yield {
            "product": surface.product,
            "timestamp": rfc3339(smile.ts_event),
            "expiry": smile.expiry,
            "days": smile.years * _DAYS_A_YEAR,
            "forward": smile.forward,
            "atm_iv": smile.atm_iv,
            "risk_reversal_25": smile.risk_reversal_25,
            "butterfly_25": smile.butterfly_25,
            "strikes": len(smile.strikes),
            "flags": surface.flags,
        }
