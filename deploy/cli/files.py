"""Input files of the offline commands: expanded, opened, read; the bad ones told and skipped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from optionstream.deploy.cli.options import parse_timestamp
from optionstream.deploy.cli.output import Failures
from optionstream.schemas.errors import CalendarError, InputError

if TYPE_CHECKING:
    from optionstream.producers.feeds import FeedHints
    from optionstream.producers.feeds.kite.instruments import Instrument
    from optionstream.schemas.events import MarketEvent


NEAREST = "nearest"


def expand(args: Sequence[str], failures: Failures) -> list[Path]:
    """The files that the arguments name, in order; an argument that names none is told."""
    from optionstream.producers.feeds import expand_paths

    paths: list[Path] = []
    for arg in args:
        try:
            paths += expand_paths([arg])
        except InputError as error:
            failures.add(error)
    return paths


def hints(
    product: str | None = None,
    expiry_date: str | None = None,
    timestamp: str | None = None,
    instruments: Path | None = None,
) -> FeedHints:
    """What the options say where a file is silent."""
    from optionstream.producers.feeds import FeedHints

    nearest = expiry_date == NEAREST
    return FeedHints(
        product=product.upper() if product else None,
        expiry=None if nearest else expiry_date,
        timestamp_ms=parse_timestamp(timestamp),
        nearest_expiry=nearest_expiry if nearest else None,
        instruments=_instruments(instruments) if instruments else {},
    )


def nearest_expiry(product: str, day: str) -> str | None:
    """The first expiry that the exchange listed on the day; None where the calendar lacks it."""
    from optionstream.streams.core.market.contracts import expiries

    try:
        return min((one.date for one in expiries(product, day) if one.date >= day), default=None)
    except CalendarError:
        return None


def _instruments(path: Path) -> dict[int, Instrument]:
    """The broker's list of instruments. Raises InputError, also for a row that cannot be read."""
    from optionstream.producers.feeds.files.content import file_source
    from optionstream.producers.feeds.kite.instruments import read_instruments

    problems: list[str] = []
    found = read_instruments(file_source(path).body(), str(path), problems)
    if problems:
        raise InputError(str(path), problems[0])
    return found


def read_events(path: Path, given: FeedHints, failures: Failures) -> Iterator[MarketEvent]:
    """A file's events; what stops the reading, and rows it could not use, are told."""
    from optionstream.producers.feeds import open_feed

    try:
        feed = open_feed(path, given)
        yield from feed.events()
        failures.add_problems(str(path), feed.problems)
    except InputError as error:
        failures.add(error)
