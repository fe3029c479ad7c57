"""Options and arguments that several commands share, and the reading of their values."""

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
JsonOption = Annotated[
    bool, typer.Option("--json", help="JSON objects, one a line, instead of tables.")
]
ProductOption = Annotated[
    str | None, typer.Option("--product", help="The product, where a file does not say it.")
]
ExpiryDateOption = Annotated[
    str | None,
    typer.Option(
        "--expiry-date",
        metavar="DATE|nearest",
        help="The expiry, where a file does not say it; nearest: the first listed on its day.",
    ),
]
InstrumentsOption = Annotated[
    Path | None,
    typer.Option(
        "--instruments",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="The broker's list of instruments: which contract a token in its packets is.",
    ),
]
TimestampOption = Annotated[
    str | None,
    typer.Option(
        "--timestamp",
        metavar="TIME",
        help="The time of a chain whose file does not say it: 2025-10-27T15:14:26 (IST), "
        "with another offset, or epoch milliseconds.",
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
        help="max: as fast as it goes; N: N times as fast as it happened; realtime: 1.",
    ),
]

SIMULATED_DATE = "2026-01-06"
"""A Tuesday on which the exchange trades: expiry day of NIFTY's weekly options."""

_PRODUCT = re.compile(r"^[A-Z0-9][A-Z0-9&_-]{0,31}$")


class IvModeName(StrEnum):
    """The values of schemas.derived.IvMode."""

    BLACK76 = "black76"
    NSE = "nse"


IvModeOption = Annotated[
    IvModeName,
    typer.Option(help="Volatility: black76 on the parity forward, or as the exchange does."),
]


def parse_speed(text: str, option: str = "--speed") -> float | None:
    """``max`` → None, ``realtime`` → 1, else a factor above 0."""
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
    """``NIFTY,BANKNIFTY`` → the two; None for all products."""
    if text is None:
        return None
    names = [name.strip().upper() for name in text.split(",") if name.strip()]
    bad = [name for name in names if not _PRODUCT.match(name)]
    if bad or not names:
        raise UsageError(f"--products {text}: use names such as NIFTY,BANKNIFTY")
    return frozenset(names)


def parse_date(option: str, text: str) -> date:
    """An ISO date."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text}: use a date such as 2026-01-06") from None


def parse_timestamp(text: str | None) -> int | None:
    """``parse_instant`` of ``--timestamp``; None for none."""
    return None if text is None else parse_instant("--timestamp", text)


def parse_instant(option: str, text: str) -> int:
    """UTC epoch milliseconds of an RFC 3339 time (without offset: IST) or of epoch ms."""
    if text.isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text}: use a time such as 2025-10-27T15:14:26") from None
    return to_ms(moment if moment.tzinfo else moment.replace(tzinfo=IST))


_PLACE = re.compile(r"^([a-z._]+):(\d+):(\d*)-(\d*)$")


def parse_places(texts: list[str] | None) -> dict[tuple[str, int], tuple[int, int | None]] | None:
    """``market.underlying:0:100-200`` → {("market.underlying", 0): (100, 200)}; None for none."""
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
