"""Options and arguments that several commands share, and the parsing of their values."""

from __future__ import annotations

import re
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from optionstream.schemas.errors import UsageError
from optionstream.schemas.times import IST, to_ms
from optionstream.schemas.topics import MARKET_TOPICS, UNDERLYING

PathsArgument = Annotated[
    list[str], typer.Argument(metavar="PATH", help="Files, folders or globs.")
]
NamespaceOption = Annotated[str, typer.Option(metavar="NAME", help="Namespace to act on.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Report what would happen; change nothing.")
]
ProductOption = Annotated[
    str | None,
    typer.Option("--product", metavar="NAME", help="Product of files that do not name it."),
]
ExpiryDateOption = Annotated[
    str | None,
    typer.Option(
        "--expiry-date",
        metavar="DATE|nearest",
        help="Expiry of files that do not name it; nearest: the first listed on the file's day.",
    ),
]
InstrumentsOption = Annotated[
    Path | None,
    typer.Option(
        "--instruments",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="The broker's list of instruments, which maps tokens in packets to contracts.",
    ),
]
TimestampOption = Annotated[
    str | None,
    typer.Option(
        "--timestamp",
        metavar="TIME",
        help="Time of chains in files that do not name it: 2025-10-27T15:14:26 (IST), with "
        "another offset, or epoch milliseconds.",
    ),
]
ProductsOption = Annotated[
    str | None,
    typer.Option("--products", metavar="A,B", help="Only these products, separated by commas."),
]
SpeedOption = Annotated[
    str,
    typer.Option(
        "--speed",
        metavar="max|realtime|N",
        help="max: as fast as possible; realtime: as it happened; N: N times as fast.",
    ),
]

SIMULATED_DATE = "2026-01-06"
"""A Tuesday and trading day, on which weekly NIFTY options expire."""

_PRODUCT = re.compile(r"^[A-Z0-9][A-Z0-9&_-]{0,31}$")


class IvModeName(StrEnum):
    """The values of schemas.derived.IvMode."""

    BLACK76 = "black76"
    NSE = "nse"


IvModeOption = Annotated[
    IvModeName,
    typer.Option(help="Volatility model: Black-76 on the parity forward, or the exchange's."),
]


def parse_speed(text: str, option: str = "--speed") -> float | None:
    """Return None for ``max``, 1 for ``realtime``, else a factor above 0."""
    if text == "max":
        return None
    if text == "realtime":
        return 1.0
    try:
        factor = float(text.removesuffix("x"))
    except ValueError:
        factor = 0.0
    if not 0 < factor < float("inf"):
        raise UsageError(f"{option} {text}: use max, realtime, or a number above 0")
    return factor


def parse_products(text: str | None) -> frozenset[str] | None:
    """Return the names in ``NIFTY,BANKNIFTY``; None for all products."""
    if text is None:
        return None
    names = [name.strip().upper() for name in text.split(",") if name.strip()]
    bad = [name for name in names if not _PRODUCT.match(name)]
    if bad or not names:
        raise UsageError(f"--products {text}: use names such as NIFTY,BANKNIFTY")
    return frozenset(names)


def parse_date(option: str, text: str) -> date:
    """Return the ISO date of an option."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text}: use a date such as 2026-01-06") from None


def parse_timestamp(text: str | None) -> int | None:
    """Return ``parse_instant`` of ``--timestamp``; None if it was not given."""
    return None if text is None else parse_instant("--timestamp", text)


def parse_instant(
    option: str, text: str, allowed: str = "a time such as 2025-10-27T15:14:26"
) -> int:
    """Return the UTC epoch milliseconds of an RFC 3339 time (without offset: IST) or of epoch ms.

    Raises UsageError, which names what is ``allowed``.
    """
    if text.isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text}: use {allowed}") from None
    return to_ms(moment if moment.tzinfo else moment.replace(tzinfo=IST))


_PLACE = re.compile(r"^([a-z._]+):(\d+):(\d*)-(\d*)$")


def parse_places(texts: list[str] | None) -> dict[tuple[str, int], tuple[int, int | None]] | None:
    """Return {("market.underlying", 0): (100, 200)} for ``market.underlying:0:100-200``.

    An end left out is None. Returns None if the option was not given.
    """
    if not texts:
        return None
    places: dict[tuple[str, int], tuple[int, int | None]] = {}
    for text in texts:
        found = _PLACE.match(text)
        if found is None or found[1] not in MARKET_TOPICS:
            raise UsageError(
                f"--offsets {text}: use TOPIC:PARTITION:FIRST-END such as {UNDERLYING}:0:100-200, "
                f"with a topic of {', '.join(MARKET_TOPICS)}"
            )
        end = int(found[4]) if found[4] else None
        places[found[1], int(found[2])] = (int(found[3] or 0), end)
    return places
