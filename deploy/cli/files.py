"""Input files of commands: expanded, opened, read; bad ones are reported and skipped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from optionstream.deploy.cli import output
from optionstream.deploy.cli.options import parse_timestamp
from optionstream.deploy.cli.output import Failures
from optionstream.schemas.errors import CalendarError, InputError

if TYPE_CHECKING:
    from optionstream.producers.feeds import FeedHints
    from optionstream.producers.feeds.kite.instruments import Instrument
    from optionstream.schemas.events import ChainSnapshot, MarketEvent

NEAREST = "nearest"


def expand_paths(args: Sequence[str], failures: Failures) -> list[Path]:
    """Return the files that the arguments name, in order; report an argument that names none."""
    from optionstream.producers import feeds

    paths: list[Path] = []
    for arg in args:
        try:
            paths += feeds.expand_paths([arg])
        except InputError as error:
            failures.add_error(error)
    return paths


def feed_hints(
    product: str | None = None,
    expiry_date: str | None = None,
    timestamp: str | None = None,
    instruments: Path | None = None,
) -> FeedHints:
    """Return what the options say where a file is silent."""
    from optionstream.producers.feeds import FeedHints

    nearest = expiry_date == NEAREST
    return FeedHints(
        product=product.upper() if product else None,
        expiry=None if nearest else expiry_date,
        timestamp_ms=parse_timestamp(timestamp),
        nearest_expiry=nearest_expiry if nearest else None,
        instruments=_read_instruments(instruments) if instruments else {},
    )


def nearest_expiry(product: str, day: str) -> str | None:
    """Return the first expiry that was listed on the day; None if the calendar lacks the day."""
    from optionstream.streams.core.market.contracts import expiries

    try:
        return min((one.date for one in expiries(product, day) if one.date >= day), default=None)
    except CalendarError:
        return None


def _read_instruments(path: Path) -> dict[int, Instrument]:
    """Read the broker's list of instruments. Raises InputError, also for one bad row."""
    from optionstream.producers.feeds.files.content import file_source
    from optionstream.producers.feeds.kite.instruments import read_instruments

    problems: list[str] = []
    found = read_instruments(file_source(path).body(), str(path), problems)
    if problems:
        raise InputError(str(path), problems[0])
    return found


def each_file(paths: Sequence[Path], as_json: bool) -> Iterator[Path]:
    """Yield the paths, drawing how many are read."""
    with output.progress(as_json) as bars:
        task = bars.add_task("reading", total=len(paths), detail="")
        for path in paths:
            bars.update(task, detail=path.name)
            yield path
            bars.advance(task)


def read_events(path: Path, hints: FeedHints, failures: Failures) -> Iterator[MarketEvent]:
    """Yield a file's events; report what ends the reading, and rows that cannot be used."""
    from optionstream.producers.feeds import open_feed

    try:
        feed = open_feed(path, hints)
        yield from feed.events()
        failures.add_problems(str(path), feed.problems)
    except InputError as error:
        failures.add_error(error)


def read_chains(path: Path, hints: FeedHints, failures: Failures) -> Iterator[ChainSnapshot]:
    """Yield a file's option chains; report a file without any."""
    from optionstream.schemas.events import ChainSnapshot

    found = False
    for event in read_events(path, hints, failures):
        if isinstance(event, ChainSnapshot):
            found = True
            yield event
    failures.require(found, path, "holds no option chain")
