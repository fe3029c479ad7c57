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
    from optionstream.streams.core.chains.offline import ChainAnalyser

ALL = "all"
_COLUMNS = (
    "product",
    "expiry",
    "timestamp",
    "underlying_price",
    "forward",
    "atm_strike",
    "atm_iv",
    "pcr_oi",
    "max_pain",
    "oi_unit",
    "legs_with_iv",
    "flags",
    "source",
)

Row = dict[str, Any]


def inspect(
    paths: PathsArgument,
    expiry: Annotated[
        str,
        typer.Option(
            metavar="nearest|all|DATE",
            help="Which expiries: the nearest to the snapshot's date, all, or one.",
        ),
    ] = NEAREST,
    product: ProductOption = None,
    expiry_date: ExpiryDateOption = None,
    timestamp: TimestampOption = None,
    iv_mode: IvModeOption = IvModeName.BLACK76,
    as_json: JsonOption = False,
) -> None:
    """Put-call ratios, max pain, volatilities and quality flags of files.

    Computed here, without any server, as the stream does. One row for each snapshot and expiry, in
    the order of the input. Open interest is in oi_unit: shares where the lot size is known.
    Volatilities are decimals; what cannot be computed is null.

    \b
    Examples:
      optionstream inspect chain.json
      optionstream inspect captures/ --expiry all --json
      optionstream inspect 'captures/2025-10-*.json.gz' --expiry 2025-10-28
    """
    if expiry not in (NEAREST, ALL):
        expiry = parse_date("--expiry", expiry).isoformat()
    failures = output.Failures()
    given = files.hints(product, expiry_date, timestamp)
    analyser = analyser_of(iv_mode)
    rows = _all_rows(files.expand(paths, failures), given, expiry, analyser, failures, as_json)
    if as_json:
        for row in rows:
            output.json_line(row)
    else:
        output.table("", _COLUMNS, rows)
    failures.finish()


def snapshot_rows(
    path: Path,
    given: FeedHints,
    expiry: str,
    analyser: ChainAnalyser,
    failures: output.Failures,
) -> Iterator[Row]:
    """One row for each snapshot in the file whose expiry was asked for."""
    calendar = _Expiries() if expiry == NEAREST else None
    if calendar is not None:
        # A session's snapshots come one by one: which expiry is the nearest shows at the end.
        calendar.add(chains_of(path, given, output.Failures(quiet=True)))
    found = shown = False
    for chain in chains_of(path, given, failures):
        found = True
        if not _wanted(chain, expiry, calendar):
            continue
        shown = True
        yield analytics_row(analyser.analyse(chain), str(path))
    if not found and not failures.has(path):
        failures.add(InputError(str(path), "holds no option chain"))
    elif found and not shown:
        failures.add(InputError(str(path), f"holds no chain of the expiry {expiry}"))


def analytics_row(chain: ChainAnalytics, source: str) -> Row:
    """The fields of ``inspect --json``."""
    from optionstream.schemas.times import rfc3339

    return {
        "product": chain.product,
        "expiry": chain.expiry,
        "timestamp": rfc3339(chain.ts_event),
        "underlying_price": chain.underlying_price,
        "pcr_oi": chain.pcr_oi,
        "pcr_volume": chain.pcr_volume,
        "call_oi": chain.call_oi,
        "put_oi": chain.put_oi,
        "call_volume": chain.call_volume,
        "put_volume": chain.put_volume,
        "oi_unit": chain.oi_unit,
        "max_pain": chain.max_pain,
        "forward": chain.forward,
        "atm_strike": chain.atm_strike,
        "atm_iv": chain.atm_iv,
        "gex_total": chain.gex_total,
        "strikes": len(chain.strikes),
        "missing_legs": chain.missing_legs,
        "legs_with_iv": chain.legs_with_iv,
        "iv_null_reasons": chain.iv_null_reasons,
        "null_reasons": chain.null_reasons,
        "flags": chain.flags,
        "source": source,
    }


def analyser_of(mode: IvModeName) -> ChainAnalyser:
    """What analyses chains here, without servers."""
    from optionstream.streams.analytics.indicators import installed_indicators
    from optionstream.streams.core.chains.offline import ChainAnalyser
    from optionstream.streams.core.market.calendar import nse_calendar
    from optionstream.streams.core.rules import Rules

    return ChainAnalyser(Rules(nse_calendar(), iv_mode=mode.value), installed_indicators())


class _Expiries:
    """The expiries in one file, by product."""

    def __init__(self) -> None:
        self._by_product: dict[str, set[str]] = {}

    def add(self, chains: Iterable[ChainSnapshot]) -> None:
        for chain in chains:
            self._by_product.setdefault(chain.product, set()).add(chain.expiry)

    def nearest(self, product: str, day: str) -> str:
        """The earliest expiry not before ``day``; the earliest of all when there is none."""
        expiries = self._by_product[product]
        return min((expiry for expiry in expiries if expiry >= day), default=min(expiries))


def _wanted(chain: ChainSnapshot, expiry: str, calendar: _Expiries | None) -> bool:
    from optionstream.schemas.times import ist_date

    if calendar is None:
        return expiry in (ALL, chain.expiry)
    return chain.expiry == calendar.nearest(chain.product, ist_date(chain.ts_event))


def chains_of(path: Path, given: FeedHints, failures: output.Failures) -> Iterator[ChainSnapshot]:
    """The option chains of a file; what cannot be read of it is told."""
    from optionstream.schemas.events import ChainSnapshot

    for event in files.read_events(path, given, failures):
        if isinstance(event, ChainSnapshot):
            yield event


def _all_rows(
    paths: list[Path],
    given: FeedHints,
    expiry: str,
    analyser: ChainAnalyser,
    failures: output.Failures,
    as_json: bool,
) -> Iterator[Row]:
    with output.progress(as_json) as bars:
        task = bars.add_task("reading", total=len(paths), detail="")
        for path in paths:
            bars.update(task, detail=path.name)
            yield from snapshot_rows(path, given, expiry, analyser, failures)
            bars.advance(task)
