"""The registry of file formats, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from optionstream.producers.feeds.audit import archive_events, file_events, holds_records
from optionstream.producers.feeds.chains.angel import angel_chains, looks_like_angel
from optionstream.producers.feeds.chains.end_of_day import eod_csv_chains, looks_like_eod
from optionstream.producers.feeds.chains.iv_surface_csv import looks_like_surface, surface_chains
from optionstream.producers.feeds.chains.ltp_oi_json import looks_like_ltp_oi, ltp_oi_chains
from optionstream.producers.feeds.chains.nse_json import chain_snapshots, is_json, looks_like_nse
from optionstream.producers.feeds.chains.tables import parquet_chains, sqlite_chains
from optionstream.producers.feeds.chains.upstox import looks_like_upstox, upstox_chains
from optionstream.producers.feeds.chains.wide_csv import (
    export_chains,
    flat_chains,
    looks_like_export,
    looks_like_flat,
    looks_like_pages,
    page_chains,
)
from optionstream.producers.feeds.files.archive import is_archive, members
from optionstream.producers.feeds.files.column_table import is_sqlite
from optionstream.producers.feeds.files.content import Source
from optionstream.producers.feeds.files.parquet_table import is_parquet, parquet_file
from optionstream.producers.feeds.format import FeedInput, Format
from optionstream.producers.feeds.session_file import is_session, read_session
from optionstream.producers.feeds.ticks.formats import FORMATS as MARKET_FORMATS
from optionstream.producers.feeds.ticks.trade_table import holds_trades, trade_events
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import MarketEvent
from optionstream.schemas.files.audit_manifest import is_manifest
from optionstream.schemas.topics import RAW_BROKERS, RAW_NSE

NSE_JSON: Final = "nse-option-chain-json"
READABLE: Final = (
    "readable are option chains (JSON, CSV, Parquet, SQLite), tick and candle CSVs, "
    "brokers' ticks, optionstream session files and audit archives; plain, gzip, xz or zstd, "
    "also in a tar"
)


def format_of(source: Source) -> Format:
    """Return the first format that recognises the source. Raises InputError with the reason."""
    head = source.head()
    for known in FORMATS:
        if known.recognise(head):
            return known
    raise InputError(source.name, _why_unknown(head.lstrip()))


def archive_member_events(file: FeedInput) -> Iterator[MarketEvent]:
    """Yield the events of every member of a tar that can be read.

    Other members, and what cannot be used of a member, are reported under the member's name.
    Raises InputError: a damaged archive, no member that can be read.
    """
    found = False
    for member in members(file.source, file.problems):
        name = member.path.relative_to(file.path)
        problems: list[str] = []
        try:
            if is_archive(member.head()):
                raise InputError(member.name, "an archive inside an archive")
            part = FeedInput(member, file.hints, file.frame_ticks, problems)
            for event in format_of(member).read(part):
                found = True
                yield event
        except InputError as error:
            problems.append(error.why)
        file.problems.extend([f"{name}: {text}" for text in problems])
    if not found:
        raise file.error(f"no member can be read; {(file.problems or ['it has none'])[0]}")


def parquet_events(file: FeedInput) -> Iterator[MarketEvent]:
    """Yield the events of a Parquet file; its columns, which stand at its end, say which layout.
    Raises InputError."""
    with parquet_file(file.source) as table:
        if holds_records(table.columns):
            yield from file_events(file)
        elif holds_trades(table.columns):
            yield from trade_events(file, table)
        else:
            yield from parquet_chains(file, table)


FORMATS: Final[tuple[Format, ...]] = (
    Format("tar", is_archive, archive_member_events),
    Format("parquet", is_parquet, parquet_events),
    Format("sqlite", is_sqlite, sqlite_chains),
    Format("optionstream-audit", is_manifest, archive_events, raw=None),
    Format("optionstream-session", is_session, read_session),
    Format(NSE_JSON, looks_like_nse, chain_snapshots, RAW_NSE),
    Format("nse-option-chain-csv", looks_like_export, export_chains, RAW_NSE),
    Format("nse-option-chain-pages-csv", looks_like_pages, page_chains),
    Format("nse-option-chain-flat-csv", looks_like_flat, flat_chains),
    Format("nse-end-of-day-csv", looks_like_eod, eod_csv_chains, RAW_NSE),
    Format("iv-surface-csv", looks_like_surface, surface_chains),
    Format("upstox-option-chain-json", looks_like_upstox, upstox_chains, RAW_BROKERS),
    Format("angel-option-chain-json", looks_like_angel, angel_chains, RAW_BROKERS),
    Format("ltp-oi-json", looks_like_ltp_oi, ltp_oi_chains),
    *MARKET_FORMATS,
    # Its `records` may come late; it refuses JSON that no format knows.
    Format(NSE_JSON, is_json, chain_snapshots),
)


def _why_unknown(start: bytes) -> str:
    if not start:
        return f"the file is empty; {READABLE}"
    if start[:1] == b"<":
        return f"an HTML or XML page, not market data; {READABLE}"
    return f"not a known format; {READABLE}"
