"""Bodies as received as a replay's source: the same events as from the files, and what is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from optionstream.deploy.cli.output import Failures
from optionstream.deploy.cli.received import ReceivedFiles
from optionstream.deploy.replays.progress import Observer
from optionstream.deploy.replays.sources.copied_piece import CopiedPiece
from optionstream.deploy.replays.sources.files import FileSource
from optionstream.deploy.replays.sources.raw import RawSource
from optionstream.deploy.replays.sources.raw_records import ArchiveRecords
from optionstream.deploy.replays.sources.source import EventSpan
from optionstream.producers.feeds import FeedHints, open_feed
from optionstream.producers.feeds.session_file import header_for, write_session
from optionstream.producers.playback import EventPiece, Piece
from optionstream.producers.raw.writing import RawWriter
from optionstream.producers.simulated import SimulatedMarket, SimulationConfig
from optionstream.schemas import codec
from optionstream.schemas.errors import InputError, UsageError
from optionstream.schemas.events import MarketEvent, TickFrame
from optionstream.schemas.files.audit_segment import ArchivedRecord
from optionstream.schemas.topics import RAW_FILES, RAW_NSE, RAW_TOPICS
from optionstream.streams.kafka.records import RawRecord
from optionstream.streams.sinks.audit.archive import Run
from tests.harness.feed_files import body, row, tick_lines, written
from tests.harness.records import OPEN_MS
from tests.unit.streams.sinks.audit.archives import Clock, opened

NO_HINTS = FeedHints()
CONFIG = SimulationConfig(seed=3, date="2025-10-27", products=("NIFTY",), close_ms=OPEN_MS + 60_000)
CHAIN_AT = "27-Oct-2025 09:16:0"


class Seen(Observer):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def report_error(self, error: InputError) -> None:
        self.told.append(str(error))


class Topics:
    """Raw topics in memory; ``order`` has the files' names."""

    def __init__(self) -> None:
        self.records: list[RawRecord] = []
        self.order: list[str] = []

    def publish_raw(
        self, base: str, value: bytes, headers: Sequence[tuple[str, bytes]], stamp_ms: int
    ) -> None:
        offset = sum(record.topic == base for record in self.records)
        self.records.append(RawRecord(base, 0, offset, stamp_ms, None, headers, value))
        self.order.append(dict(headers)["name"].decode().rpartition("/")[2])


class Records:
    """What Topics hold, as a source reads them."""

    name = "raw:made"

    def __init__(self, records: Sequence[RawRecord]) -> None:
        self._records = records

    def describe(self) -> dict[str, Any]:
        return {"namespace": "made", "archive": None}

    def open(self) -> None:
        pass

    def records(self) -> Iterator[RawRecord]:
        return iter(self._records)

    def share_read(self) -> float | None:
        return None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Chains of the exchange, ticks of two files and a session with both, and a readme."""
    made = tmp_path / "nifty"
    made.mkdir()
    for minute in range(3):
        written(
            made / f"chain-{minute}.json", body([row(26_000.0)], timestamp=f"{CHAIN_AT}{minute}")
        )
    for second in (0, 30):
        rows = [(f"2025-10-27 09:15:{second + at:02d}", 26_000.0 + at) for at in range(20)]
        written(made / f"ticks-{second}.csv", tick_lines(rows))
    header = header_for(CONFIG.products, {})
    write_session(made / "zz.jsonl.zst", header, SimulatedMarket(CONFIG).events())
    written(made / "README", "no market data")
    return made


def events_of(pieces: Iterator[Piece]) -> list[tuple[str, bytes]]:
    found = []
    for piece in pieces:
        assert isinstance(piece, EventPiece | CopiedPiece) and piece.event is not None
        found.append((piece.schema, codec.encode(piece.event)))
    return found


def from_files(folder: Path, scan: bool, topics: Topics | None = None) -> Any:
    """The events, and what is told."""
    seen = Seen()
    source = FileSource(sorted(folder.iterdir()), raw=topics is not None)
    source.open(seen)
    if scan:
        source.scan()
    keeper = RawWriter(topics, lambda: OPEN_MS, 100) if topics else None
    return events_of(source.pieces(seen, keeper)), seen.told


def from_raw(records: Sequence[RawRecord], scan: bool = False, **options: Any) -> Any:
    """The events, what is told, and the number of bodies."""
    seen = Seen()
    source = RawSource(Records(records), NO_HINTS, lambda product, day: None, **options)
    source.open(seen)
    if scan:
        source.scan()
        assert source.scanned.last_ms is not None and source.scanned.days
    spool = source._folder
    events = events_of(source.pieces(seen, None))
    assert spool is not None and not Path(spool.name).exists()
    return events, seen.told, source.counts()["bodies"]


@pytest.mark.parametrize("scan", [False, True])
def test_raw_gives_the_events_of_the_files_in_their_order(folder: Path, scan: bool) -> None:
    topics = Topics()
    plain = from_files(folder, scan)
    assert from_files(folder, scan, topics) == plain
    events, told, bodies = from_raw(topics.records, scan)
    assert (events, told) == plain
    assert len(events) > 10
    assert bodies == 6
    (line,) = told
    assert line.startswith(f"{folder}/README: not a known format")


def test_each_body_goes_out_before_its_events_and_where_it_belongs(folder: Path) -> None:
    topics, seen = Topics(), Seen()
    source = FileSource([folder / "chain-0.json", folder / "ticks-0.csv"], raw=True)
    source.open(seen)
    before: list[int] = []
    for _ in source.pieces(seen, RawWriter(topics, lambda: OPEN_MS)):
        before.append(len(topics.records))
    assert before == [1, 2, 2]
    assert [record.topic for record in topics.records] == [RAW_NSE, RAW_FILES]


def test_a_body_received_twice_is_in_the_topics_twice_with_the_same_events(folder: Path) -> None:
    topics = Topics()
    once, _ = from_files(folder, False, topics)
    from_files(folder, False, topics)
    twice, _, bodies = from_raw(topics.records)
    assert twice == once + once
    assert bodies == 12


def test_a_damaged_body_is_told_and_the_others_are_played(folder: Path) -> None:
    topics = Topics()
    events, _ = from_files(folder, False, topics)
    lost = next(at for at, name in enumerate(topics.order) if name == "chain-1.json")
    found, told, _ = from_raw([*topics.records[:lost], *topics.records[lost + 1 :]])
    assert len(found) == len(events) - 1
    assert any("chain-1.json: as received, part 1 of" in line for line in told)


def test_a_range_of_time_and_products_are_cut_out(folder: Path) -> None:
    topics = Topics()
    from_files(folder, False, topics)
    start, end = OPEN_MS + 5_000, OPEN_MS + 15_000
    found, _, _ = from_raw(topics.records, span=EventSpan(start, end))
    assert found
    for schema, value in found:
        event: Any = codec.decode(value, [(codec.HEADER, schema.encode())])
        stamps = getattr(event, "ts_ms", None) or [event.ts_event]
        assert all(start <= at < end for at in stamps)
    assert from_raw(topics.records, products=frozenset({"BANKNIFTY"}))[0] == []


def test_an_archive_has_no_body_to_keep(tmp_path: Path) -> None:
    archived(tmp_path, [])
    manifest = next(tmp_path.rglob("manifest.jsonl"))
    with pytest.raises(UsageError, match=r"an audit archive holds records.*leave --raw out"):
        FileSource([manifest], raw=True).open(Seen())
    FileSource([manifest]).open(Seen())


def archived(folder: Path, records: Sequence[RawRecord]) -> Path:
    """An archive of raw records, and of a market record beside them."""
    archive = opened(folder / "archive", Clock())
    event = next(one for one in SimulatedMarket(CONFIG).events() if isinstance(one, TickFrame))
    runs = [one_run("market.underlying", [market_record(event)])]
    for topic in RAW_TOPICS:
        of_topic = [archived_record(record) for record in records if record.topic == topic]
        if of_topic:
            runs.append(one_run(topic, of_topic))
    archive.write(runs)
    return folder / "archive"


def one_run(topic: str, records: Sequence[ArchivedRecord]) -> Run:
    return Run(f"id-{topic}", 1, records)


def archived_record(record: RawRecord) -> ArchivedRecord:
    topic, partition, offset, stamp, key, headers, value = record
    return ArchivedRecord(
        topic, partition, offset, stamp, "create", OPEN_MS, key, headers or (), value
    )


def market_record(event: MarketEvent) -> ArchivedRecord:
    value, headers = codec.encode(event), codec.headers_for(event)
    key = event.product.encode()
    return ArchivedRecord(
        "market.underlying", 0, 0, event.ts_recv, "create", OPEN_MS, key, headers, value
    )


def test_an_archive_gives_its_bodies_to_from_raw_and_its_events_to_a_replay(
    folder: Path, tmp_path: Path
) -> None:
    topics = Topics()
    plain = from_files(folder, False, topics)
    kept = archived(tmp_path, topics.records)
    records = ArchiveRecords(kept)
    records.open()
    events, told, _ = from_raw(list(records.records()))
    assert (events, told) == plain
    feed = open_feed(kept / "manifest.jsonl", NO_HINTS)
    assert len(list(feed.events())) == 1
    assert feed.problems == []
    raw_file = next(kept.rglob(f"topic={RAW_NSE}/*.parquet"))
    with pytest.raises(InputError, match=r"bytes as received, no events: .*--from-raw"):
        list(open_feed(raw_file, NO_HINTS).events())


def test_an_archive_without_bodies_says_so(tmp_path: Path) -> None:
    kept = archived(tmp_path, [])
    with pytest.raises(InputError, match=r"no raw payloads \(.*--raw"):
        ArchiveRecords(kept).open()
    with pytest.raises(InputError, match=r"not an audit archive: it has no manifest\.jsonl"):
        ArchiveRecords(tmp_path).open()


def test_files_that_come_in_live_carry_one_receipt_and_raw_repeats_it(folder: Path) -> None:
    """What no adapter knows is kept too, and told."""
    topics, failures = Topics(), Failures()
    received = ReceivedFiles(NO_HINTS, failures, lambda: OPEN_MS + 10**9, topics)
    live = list(received.events(sorted(folder.iterdir()), None))
    assert failures.has_error(folder / "README")
    assert len({event.ts_recv for event in live}) == 6
    events, told, _ = from_raw(topics.records)
    assert [value for _, value in events] == [codec.encode(event) for event in live]
    assert len(told) == 1
    without = ReceivedFiles(NO_HINTS, Failures(), lambda: OPEN_MS + 10**9, None)
    assert len(list(without.events(sorted(folder.iterdir()), None))) == len(live)
