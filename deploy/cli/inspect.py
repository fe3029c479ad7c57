"""``inspect``: chain analytics of files, offline, with the core that the stream uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optionstream.deploy.cli import files, output
from optionstream.deploy.cli.files import NEAREST
from optionstream.deploy.cli.options import (
    ExpiryDateOption,
    IvModeName,
    IvModeOption,
    JsonOption,
    PathsArgument,
    ProductOption,
    TimestampOption,
    parse_date,
)
from optionstream.schemas.errors import InputError

if TYPE_CHECKING:
    from optionstream.producers.feeds import FeedHints
    from optionstream.schemas.derived import ChainAnalytics
    from optionstream.schemas.events import ChainSnapshot
    from optionstream.streams.core.chains.analyse import ChainAnalyser

ALL = "all"
_FIELDS = (
    *("product", "expiry", "timestamp", "underlying_price", "pcr_oi", "pcr_volume"),
    *("call_oi", "put_oi", "call_volume", "put_volume", "oi_unit", "max_pain"),
    *("forward", "atm_strike", "atm_iv", "gex_total", "strikes", "missing_legs"),
    *("legs_with_iv", "iv_null_reasons", "null_reasons", "flags", "source"),
)
"""Fields of ``inspect --json``."""
_COLUMNS = (
    *("expiry", "date", "time", "underlying_price", "forward", "atm_strike", "atm_iv"),
    *("pcr_oi", "max_pain", "legs_with_iv", "oi_unit", "flags", "source"),
)

Row = dict[str, Any]


def inspect(
    paths: PathsArgument,
    expiry: Annotated[
        str,
        typer.Option(
            metavar="nearest|all|DATE",
            help="Expiries to show: the first not before the snapshot's date, all, or one.",
        ),
    ] = NEAREST,
    product: ProductOption = None,
    expiry_date: ExpiryDateOption = None,
    timestamp: TimestampOption = None,
    iv_mode: IvModeOption = IvModeName.BLACK76,
    as_json: JsonOption = False,
) -> None:
    """Compute ratios, max pain, volatilities and flags of chains.

    Needs no server and computes as the stream does. One row for each snapshot and expiry, in the
    order of the input; the tables are one for each product.

    Open interest (OI) is in shares where the lot size is known. ATM is the strike at the money,
    IV a volatility as a decimal, legs the number of options with a volatility. What cannot be
    computed is null.

    \b
    Examples:
      optionstream inspect chain.json
      optionstream inspect captures/ --expiry all --json
      optionstream inspect 'captures/2025-10-*.json.gz' --expiry 2025-10-28
    """
    if expiry not in (NEAREST, ALL):
        expiry = parse_date("--expiry", expiry).isoformat()
    failures = output.Failures()
    hints = files.feed_hints(product, expiry_date, timestamp)
    analyser = new_analyser(iv_mode)
    rows = (
        row
        for path in files.each_file(files.expand_paths(paths, failures), as_json)
        for row in _file_rows(path, hints, expiry, analyser, failures)
    )
    if as_json:
        for row in rows:
            output.print_json(row)
    else:
        _print_tables(rows)
    failures.finish()


def _print_tables(rows: Iterable[Row]) -> None:
    """Print a table for each product, in the order in which products came."""
    products: dict[str, list[Row]] = {}
    for row in rows:
        day = {"date": row["timestamp"][:10], "time": row["timestamp"][11:19]}
        products.setdefault(row["product"], []).append(row | day)
    shared = ("date", "oi_unit", "flags", "source")
    for product, found in products.items():
        output.print_table(product, _COLUMNS, found, shared)


def _file_rows(
    path: Path,
    hints: FeedHints,
    expiry: str,
    analyser: ChainAnalyser,
    failures: output.Failures,
) -> Iterator[Row]:
    """Yield a row for each snapshot in the file whose expiry was asked for."""
    expiries: dict[str, set[str]] = {}
    if expiry == NEAREST:
        # A session's snapshots come one by one: which expiry is the nearest shows at the end.
        for chain in files.read_chains(path, hints, output.Failures(quiet=True)):
            expiries.setdefault(chain.product, set()).add(chain.expiry)
    found = shown = False
    for chain in files.read_chains(path, hints, failures):
        found = True
        if expiry in (ALL, chain.expiry) or (expiries and _is_nearest(chain, expiries)):
            shown = True
            yield _analytics_row(analyser.analyse(chain), str(path))
    if found and not shown:
        failures.add_error(InputError(str(path), f"holds no chain of the expiry {expiry}"))


def _is_nearest(chain: ChainSnapshot, expiries: dict[str, set[str]]) -> bool:
    """Return True for the earliest expiry not before the snapshot's date, else the earliest."""
    from optionstream.schemas.times import ist_date

    known, day = expiries[chain.product], ist_date(chain.ts_event)
    return chain.expiry == min((one for one in known if one >= day), default=min(known))


def _analytics_row(chain: ChainAnalytics, source: str) -> Row:
    from optionstream.schemas.times import rfc3339

    changed = {
        "timestamp": rfc3339(chain.ts_event),
        "strikes": len(chain.strikes),
        "source": source,
    }
    return {name: changed[name] if name in changed else getattr(chain, name) for name in _FIELDS}


def new_analyser(mode: IvModeName) -> ChainAnalyser:
    """Return an analyser of chains that needs no server."""
    from optionstream.streams.analytics.indicators import installed_indicators
    from optionstream.streams.core.chains.analyse import ChainAnalyser
    from optionstream.streams.core.market.calendar import nse_calendar
    from optionstream.streams.core.rules import Rules

    return ChainAnalyser(Rules(nse_calendar(), iv_mode=mode.value), installed_indicators())
