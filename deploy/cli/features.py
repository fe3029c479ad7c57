"""``features``: export rows of bars and chains; explain their columns."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from optionstream.deploy.cli import context, output
from optionstream.deploy.cli.options import JsonOption, NamespaceOption, parse_date, parse_products
from optionstream.schemas.errors import OptionstreamError, UsageError
from optionstream.schemas.topics import LIVE, Namespace

_COLUMNS = ("date", "product", "rows", "revised")
_DESCRIBED = ("name", "kind", "unit", "meaning", "null")


class RowInterval(StrEnum):
    """The values of schemas.settings.ROW_INTERVALS."""

    ONE = "1m"
    THREE = "3m"
    FIVE = "5m"
    FIFTEEN = "15m"
    THIRTY = "30m"
    SIXTY = "60m"


def export(
    start: Annotated[str, typer.Option(metavar="DATE", help="The first date (IST).")],
    end: Annotated[str, typer.Option(metavar="DATE", help="The last date, inclusive.")],
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE|DIR", help="FILE.parquet, FILE.csv, or a folder for a file a date."
        ),
    ],
    product: Annotated[str | None, typer.Option(help="Only this product.")] = None,
    interval: Annotated[RowInterval | None, typer.Option(help="Only bars of this length.")] = None,
    as_known: Annotated[
        bool,
        typer.Option("--as-known", help="Export the first revision of each row, not the newest."),
    ] = False,
    namespace: NamespaceOption = LIVE,
    as_json: JsonOption = False,
) -> None:
    """Export bars joined with chains, without look-ahead.

    One row for each product, interval and bar: the bar, and the chains of the nearest and the next
    expiry as of its end. Reads the files of the worker `features`; needs no server.

    Exit code 1 when no rows match, 2 when the namespace has no features.

    \b
    Examples:
      optionstream features export --start 2026-01-06 --end 2026-01-09 \\
          --out week.parquet
      optionstream features export --start 2026-01-06 --end 2026-01-06 \\
          --product NIFTY --interval 5m --namespace tuesday --out day.csv
      optionstream features export --start 2026-01-01 --end 2026-03-31 \\
          --out quarter/
    """
    from optionstream.streams.sinks.features import export

    first, last = parse_date("--start", start), parse_date("--end", end)
    if last < first:
        raise UsageError(f"--end {end} is before --start {start}")
    name = Namespace.parse(namespace).name
    folder = context.settings().features_folder(name)
    wanted = _product(product)
    selection = export.Selection(first, last, wanted, interval and interval.value, as_known)
    parts = list(export.selected(folder, selection))
    left = export.waiting(folder, wanted)
    if left:
        output.note(
            f"note: {left} bars have no row yet: they wait for chains or for the worker "
            f"(`optionstream worker features --namespace {name}`)"
        )
    if not parts:
        raise OptionstreamError(f"no rows from {start} to {end} in {folder}")
    export.write_parts(parts, out)
    rows = [
        {
            "date": part.date,
            "product": part.product,
            "rows": len(part.rows),
            "revised": int((part.rows["revision"] > 1).sum()),
        }
        for part in parts
    ]
    output.print_rows("", _COLUMNS, rows, as_json)
    output.note(f"{sum(len(part.rows) for part in parts)} rows in {out}")


def columns(as_json: JsonOption = False) -> None:
    """List the columns with unit, meaning and null reasons.

    \b
    Examples:
      optionstream features columns
      optionstream features columns --json | jq -r .name
    """
    from optionstream.schemas.files.feature_rows import COLUMNS

    output.print_rows("", _DESCRIBED, [column._asdict() for column in COLUMNS], as_json)


def _product(text: str | None) -> str | None:
    """Return one product's name in capitals."""
    found = parse_products(text)
    if found is not None and len(found) != 1:
        raise UsageError(f"--product {text}: name one product")
    return None if found is None else next(iter(found))
