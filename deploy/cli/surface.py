"""``surface``: the volatility surface of files, offline, with the core that the stream uses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optionstream.deploy.cli import files, output
from optionstream.deploy.cli.inspect import new_analyser
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

if TYPE_CHECKING:
    from optionstream.producers.feeds import FeedHints
    from optionstream.schemas.derived import VolatilitySurface
    from optionstream.streams.core.chains.analyse import ChainAnalyser

_COLUMNS = (
    *("expiry", "days", "date", "time", "forward", "atm_iv"),
    *("risk_reversal_25", "butterfly_25", "strikes"),
)
_DAYS_A_YEAR = 365


def surface(
    paths: PathsArgument,
    every: Annotated[
        bool, typer.Option("--every", help="Show every surface, not the last of each product.")
    ] = False,
    products: ProductsOption = None,
    product: ProductOption = None,
    expiry_date: ExpiryDateOption = None,
    timestamp: TimestampOption = None,
    iv_mode: IvModeOption = IvModeName.BLACK76,
    as_json: JsonOption = False,
) -> None:
    """Compute volatility surfaces: smiles, skew, term structure.

    Needs no server and computes as the stream does, from all expiries of a product in the files.
    One table for each surface, one row for each expiry. --json prints whole surfaces: every smile
    with its points, and volatilities at fixed tenors between the expiries.

    Volatilities (IV) are decimals. RR 25Δ and BF 25Δ are risk reversal and butterfly at a delta
    of 25.

    \b
    Examples:
      optionstream surface chain.json
      optionstream surface captures/ --every --json
      optionstream surface day.jsonl.zst --products NIFTY
    """
    from optionstream.schemas.documents import surface_document

    failures = output.Failures()
    hints = files.feed_hints(product, expiry_date, timestamp)
    chosen = parse_products(products)
    found = _surfaces(
        files.each_file(files.expand_paths(paths, failures), as_json),
        hints,
        chosen,
        new_analyser(iv_mode),
        failures,
    )
    for one in found if every else list({one.product: one for one in found}.values()):
        if as_json:
            output.print_json(surface_document(one))
        else:
            _print_surface(one)
    failures.finish()


def _surfaces(
    paths: Iterator[Path],
    hints: FeedHints,
    chosen: frozenset[str] | None,
    analyser: ChainAnalyser,
    failures: output.Failures,
) -> Iterator[VolatilitySurface]:
    """Yield the surfaces of the chosen products; incomplete captures come at the end."""
    from optionstream.streams.core.surface.surfaces import ProductSurfaces

    products: dict[str, ProductSurfaces] = {}
    for path in paths:
        for chain in files.read_chains(path, hints, failures):
            if chosen is None or chain.product in chosen:
                surfaces = products.setdefault(chain.product, ProductSurfaces())
                yield from surfaces.add_chain(analyser.analyse(chain))
    for name, surfaces in products.items():
        yield from surfaces.finish(name)


def _print_surface(surface: VolatilitySurface) -> None:
    """Print a surface as a table with a row for each smile."""
    from optionstream.schemas.times import rfc3339

    rows = []
    for smile in surface.smiles:
        time = rfc3339(smile.ts_event)
        rows.append(
            {
                "expiry": smile.expiry,
                "days": smile.years * _DAYS_A_YEAR,
                "date": time[:10],
                "time": time[11:19],
                "forward": smile.forward,
                "atm_iv": smile.atm_iv,
                "risk_reversal_25": smile.risk_reversal_25,
                "butterfly_25": smile.butterfly_25,
                "strikes": len(smile.strikes),
            }
        )
    flags = f", flags {', '.join(surface.flags)}" if surface.flags else ""
    output.print_table(f"{surface.product}{flags}", _COLUMNS, rows, shared=("date",))
