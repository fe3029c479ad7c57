"""Input files of the offline commands: expanded, opened, read; the bad ones told and skipped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from optionstream.deploy.cli.options import parse_timestamp
from optionstream.deploy.cli.output import Failures
from optionstream.schemas.errors import InputError

if TYPE_CHECKING:
    from optionstream.producers.feeds import FeedHints
    from optionstream.schemas.events import MarketEvent


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


def hints(product: str | None, expiry_date: str | None, timestamp: str | None) -> FeedHints:
    """What the options say where a file is silent."""
    from optionstream.producers.feeds import FeedHints

    return FeedHints(
        product=product.upper() if product else None,
        expiry=expiry_date,
        timestamp_ms=parse_timestamp(timestamp),
    )


def read_events(path: Path, given: FeedHints, failures: Failures) -> Iterator[MarketEvent]:
    """A file's events; what stops the reading, and rows it could not use, are told."""
    from optionstream.producers.feeds import open_feed

    try:
        feed = open_feed(path, given)
        yield from feed.events()
        failures.add_problems(str(path), feed.problems)
    except InputError as error:
        failures.add(error)
