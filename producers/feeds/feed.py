"""Opening a file as a feed: which format it has, by its content, and its events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from optionstream.producers.feeds.content import read_body, read_head
from optionstream.producers.feeds.hints import FeedHints, product_in_path
from optionstream.producers.feeds.nse_chain import chain_snapshots
from optionstream.producers.feeds.session_file import is_session, read_session
from optionstream.producers.feeds.tick_csv import looks_like_ticks, tick_events
from optionstream.schemas.errors import InputError, UsageError
from optionstream.schemas.events import MAX_FRAME_TICKS, MarketEvent

NSE_JSON: Final = "nse-option-chain-json"
TICK_CSV: Final = "tick-csv-1s"
SESSION: Final = "optionstream-session"
READABLE: Final = (
    "readable are the exchange's option-chain JSON, 1-second tick CSV "
    "(YYYY-MM-DD HH:MM:SS,price) and optionstream session files; plain, gzip or zstd"
)

Reader = Callable[[list[str]], Iterator[MarketEvent]]


@dataclass(slots=True)
class Feed:
    """One file's events.

    ``problems`` says, after ``events()`` was read, which rows could not be used and why.
    """

    path: Path
    format: str
    _reader: Reader
    problems: list[str] = field(default_factory=list)

    def events(self) -> Iterator[MarketEvent]:
        """The events in file order, checked; may be called again. Raises InputError."""
        self.problems.clear()
        return self._reader(self.problems)


def open_feed(path: Path, hints: FeedHints, frame_ticks: int = 1000) -> Feed:
    """Find the format of ``path`` by its content.

    ``frame_ticks`` is the greatest number of ticks in one frame (session files keep their
    frames). Raises InputError naming the file: missing, empty, damaged or of no known format;
    ``events()`` raises it for what shows only when the whole file is read.
    """
    if not 1 <= frame_ticks <= MAX_FRAME_TICKS:
        raise UsageError(f"frame_ticks {frame_ticks}: use 1 to {MAX_FRAME_TICKS}")
    head = read_head(path)
    start = head.lstrip()
    if is_session(start):
        return Feed(path, SESSION, partial(read_session, path))
    if start.startswith((b"{", b"[")):
        return Feed(path, NSE_JSON, partial(_read_chains, path, hints))
    if looks_like_ticks(head):
        return Feed(path, TICK_CSV, partial(_read_ticks, path, hints, frame_ticks))
    raise InputError(str(path), _why_unknown(start))


def _read_chains(path: Path, hints: FeedHints, problems: list[str]) -> Iterator[MarketEvent]:
    yield from chain_snapshots(read_body(path), str(path), hints, problems)


def _read_ticks(
    path: Path, hints: FeedHints, frame_ticks: int, problems: list[str]
) -> Iterator[MarketEvent]:
    product = hints.product or product_in_path(path)
    if product is None:
        raise InputError(str(path), "a tick CSV does not say its product: add --product NIFTY")
    yield from tick_events(read_body(path), str(path), product, frame_ticks, problems)


def _why_unknown(start: bytes) -> str:
    if not start:
        return f"the file is empty; {READABLE}"
    if start[:1] == b"<":
        return f"an HTML or XML page, not market data; {READABLE}"
    return f"not a known format; {READABLE}"
