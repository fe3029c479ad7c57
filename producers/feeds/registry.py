"""The registry of file formats, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from optionstream.producers.feeds.audit import archive_events, file_events, holds_records
from optionstream.producers.feeds.chains.angel import angel_chains, looks_like_angel
from optionstream.producers.feeds.chains.end_of_day import eod_csv_chains, looks_like_eod
from optionstream.producers.feeds.chains.iv_surface_csv import looks_like_surface, surface_chains
from optionstream.producers.feeds.chains.ltp_oi_json import looks_like_ltp_oi, ltp_oi_chains
from optionstream.producers.feeds.chains.nse_csv import export_chains, looks_like_export
from optionstream.producers.feeds.chains.nse_flat_csv import flat_chains, looks_like_flat
from optionstream.producers.feeds.chains.nse_json import chain_snapshots, is_json, looks_like_nse
from optionstream.producers.feeds.chains.nse_pages_csv import looks_like_pages, page_chains
from optionstream.producers.feeds.chains.tables import parquet_chains, sqlite_chains
from optionstream.producers.feeds.chains.upstox import looks_like_upstox, upstox_chains
from optionstream.producers.feeds.files.archive import is_archive, members
from optionstream.producers.feeds.files.column_table import is_sqlite
from optionstream.producers.feeds.files.content import Source
from optionstream.producers.feeds.files.parquet_table import is_parquet, parquet_file
from optionstream.producers.feeds.format import Format, Reader
from optionstream.producers.feeds.hints import FeedHints, needed_product
from optionstream.producers.feeds.session_file import is_session, read_session
from optionstream.producers.feeds.ticks.formats import FORMATS as MARKET_FORMATS
from optionstream.producers.feeds.ticks.trade_table import holds_trades, trade_events
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import ChainSnapshot, MarketEvent
from optionstream.schemas.files.audit_manifest import is_manifest
from optionstream.schemas.topics import RAW_BROKERS, RAW_NSE

NSE_JSON: Final = "nse-option-chain-json"
READABLE: Final = (
    "readable are option chains (JSON, CSV, Parquet, SQLite), tick and candle CSVs, "
    "brokers' ticks, optionstream session files and audit archives; plain, gzip, xz or zstd, "
    "also in a tar"
)


def format_of(source: Source) -> Format:
    """The first format that recognises the source. Raises InputError with the reason."""
    head = source.head()
    for known in FORMATS:
        if known.recognise(head):
            return known
    raise InputError(source.name, _why_unknown(head.lstrip()))


def _is_session(head: bytes) -> bool:
    return is_session(head.lstrip())


def _read_session(
    source: Source, hints: FeedHints, frame_ticks: int, problems: list[str]
) -> Iterator[MarketEvent]:
    return read_session(source, problems)


def _read_audit(
    source: Source, hints: FeedHints, frame_ticks: int, problems: list[str]
) -> Iterator[MarketEvent]:
    return archive_events(source, problems)


def _read_archive(
    source: Source, hints: FeedHints, frame_ticks: int, problems: list[str]
) -> Iterator[MarketEvent]:
    """The events of every member that can be read; the others, and what of a member cannot be
    used, are told under the member's name."""
    found = False
    for member in members(source, problems):
        name = member.path.relative_to(source.path)
        told: list[str] = []
        try:
            if is_archive(member.head()):
                raise InputError(member.name, "an archive inside an archive")
            for event in format_of(member).read(member, hints, frame_ticks, told):
                found = True
                yield event
        except InputError as error:
            told.append(error.why)
        problems += [f"{name}: {text}" for text in told]
    if not found:
        raise InputError(source.name, f"no member can be read; {(problems or ['it has none'])[0]}")


def _read_parquet(
    source: Source, hints: FeedHints, frame_ticks: int, problems: list[str]
) -> Iterator[MarketEvent]:
    """Its layout shows in its columns, and these stand at its end."""
    name = source.name
    with parquet_file(source) as table:
        if holds_records(table.columns):
            yield from file_events(source.body(), name, problems)
        elif holds_trades(table.columns):
            product = needed_product(hints.product, name)
            yield from trade_events(table, name, product, frame_ticks, problems)
        else:
            yield from parquet_chains(table, source.capture_id(), name, problems)


Hinted = Callable[[bytes, str, FeedHints, list[str]], list[ChainSnapshot]]
Plain = Callable[[bytes, str, list[str]], list[ChainSnapshot]]
Named = Callable[[bytes, Path, FeedHints, list[str]], list[ChainSnapshot]]


def _hinted(chains: Hinted) -> Reader:
    """For bodies that may leave something out."""

    def read(
        source: Source, hints: FeedHints, frame_ticks: int, problems: list[str]
    ) -> Iterator[MarketEvent]:
        yield from chains(source.body(), source.name, hints, problems)

    return read


def _plain(chains: Plain) -> Reader:
    """For bodies that say everything."""
    return _hinted(lambda body, name, _, problems: chains(body, name, problems))


def _named(chains: Named) -> Reader:
    """For bodies whose file's name says what they leave out."""
    return _hinted(lambda body, name, hints, problems: chains(body, Path(name), hints, problems))


FORMATS: Final[tuple[Format, ...]] = (
    Format("tar", is_archive, _read_archive),
    Format("parquet", is_parquet, _read_parquet),
    Format("sqlite", is_sqlite, _plain(sqlite_chains)),
    Format("optionstream-audit", is_manifest, _read_audit, raw=None),
    Format("optionstream-session", _is_session, _read_session),
    Format(NSE_JSON, looks_like_nse, _hinted(chain_snapshots), RAW_NSE),
    Format("nse-option-chain-csv", looks_like_export, _named(export_chains), RAW_NSE),
    Format("nse-option-chain-pages-csv", looks_like_pages, _named(page_chains)),
    Format("nse-option-chain-flat-csv", looks_like_flat, _named(flat_chains)),
    Format("nse-end-of-day-csv", looks_like_eod, _plain(eod_csv_chains), RAW_NSE),
    Format("iv-surface-csv", looks_like_surface, _plain(surface_chains)),
    Format("upstox-option-chain-json", looks_like_upstox, _hinted(upstox_chains), RAW_BROKERS),
    Format("angel-option-chain-json", looks_like_angel, _hinted(angel_chains), RAW_BROKERS),
    Format("ltp-oi-json", looks_like_ltp_oi, _hinted(ltp_oi_chains)),
    *MARKET_FORMATS,
    # Its `records` may come late; JSON that no format knows is told to have none.
    Format(NSE_JSON, is_json, _hinted(chain_snapshots)),
)


def _why_unknown(start: bytes) -> str:
    if not start:
        return f"the file is empty; {READABLE}"
    if start[:1] == b"<":
        return f"an HTML or XML page, not market data; {READABLE}"
    return f"not a known format; {READABLE}"
