"""An audit archive as a feed: what came in comes out, each partition in its order."""

from __future__ import annotations

import os
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import pytest

from optionstream.producers.feeds import FeedHints, expand_paths, open_feed
from optionstream.producers.feeds.audit import archived_records
from optionstream.producers.simulated import SimulatedMarket, SimulationConfig
from optionstream.schemas import codec, topics
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import (
    ChainSnapshot,
    MarketEvent,
    OptionQuoteFrame,
    Tick,
    TickFrame,
)
from optionstream.schemas.files.audit_manifest import MANIFEST
from optionstream.schemas.files.audit_segment import ArchivedRecord
from optionstream.schemas.topics import partition_for
from optionstream.streams.sinks.audit.archive import Archive, Run
from tests.harness.records import OPEN_MS, frame
from tests.unit.streams.sinks.audit.archives import PARTITIONS, Clock, change_record, files, opened

HINTS = FeedHints()
NIFTY = partition_for("NIFTY", PARTITIONS)


def address(event: MarketEvent) -> tuple[str, str]:
    if isinstance(event, ChainSnapshot):
        return topics.OPTION_CHAIN, f"{event.product}:{event.expiry}"
    if isinstance(event, OptionQuoteFrame):
        return topics.OPTION_QUOTE, f"{event.product}:{event.expiry}"
    return topics.UNDERLYING, event.product


class Log:
    """Topics in memory: gives events their offsets, and archives them now and then."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._ends: dict[tuple[str, int], int] = defaultdict(int)
        self._pending: dict[tuple[str, int], list[ArchivedRecord]] = defaultdict(list)

    def append(self, topic: str, **changes: object) -> None:
        fields: dict[str, object] = {
            "partition": NIFTY,
            "timestamp": OPEN_MS,
            "timestamp_type": "create",
            "archived": OPEN_MS,
            "key": b"NIFTY",
            "headers": [],
            "value": None,
        }
        place = topic, int(str(changes.get("partition", NIFTY)))
        record = ArchivedRecord(topic=topic, offset=self._ends[place], **{**fields, **changes})  # type: ignore[arg-type]
        self._ends[place] += 1
        self._pending[place].append(record)

    def publish(self, event: MarketEvent) -> None:
        topic, key = address(event)
        self.append(
            topic,
            partition=partition_for(event.product, PARTITIONS),
            timestamp=event.ts_recv,
            key=key.encode(),
            headers=codec.headers_for(event),
            value=codec.encode(event),
        )

    def flush(self) -> None:
        self.archive.write(
            [Run(f"id-{topic}", PARTITIONS, some) for (topic, _), some in self._pending.items()]
        )
        self._pending.clear()


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(opened(tmp_path / "live"))


def events_of(path: Path) -> tuple[list[MarketEvent], list[str]]:
    feed = open_feed(path, HINTS)
    return list(feed.events()), feed.problems


def by_place(events: Sequence[MarketEvent]) -> dict[tuple[str, int], list[MarketEvent]]:
    found = defaultdict(list)
    for event in events:
        found[address(event)[0], partition_for(event.product, PARTITIONS)].append(event)
    return dict(found)


def simulated(quotes: bool = False) -> Iterator[MarketEvent]:
    config = SimulationConfig(
        seed=3,
        date="2026-01-06",
        products=("NIFTY", "BANKNIFTY", "SENSEX"),
        quotes=quotes,
    )
    return islice(SimulatedMarket(config).events(), 250)


def test_a_session_comes_out_as_it_went_in(log: Log) -> None:
    sent = []
    for number, event in enumerate([*simulated(), *simulated(quotes=True)]):
        sent.append(event)
        log.publish(event)
        if number % 120 == 0:
            log.flush()
    log.flush()
    folder = log.archive.folder
    assert expand_paths([str(folder)]) == [folder / MANIFEST]
    feed = open_feed(folder / MANIFEST, HINTS)
    assert feed.format == "optionstream-audit"
    found = list(feed.events())
    assert not feed.problems
    assert len(by_place(sent)) >= 6
    assert by_place(found) == by_place(sent)
    assert list(feed.events()) == found


def test_partitions_are_merged_by_the_stamps_of_their_records(log: Log) -> None:
    """Though each flush has one partition's records behind the other's."""
    sent = list(simulated())
    for event in sent:
        log.publish(event)
    log.flush()
    found, _ = events_of(log.archive.folder / MANIFEST)
    stamps = [event.ts_recv for event in found]
    assert stamps == sorted(stamps)
    assert stamps == sorted(event.ts_recv for event in sent)


def test_a_partition_keeps_its_order_when_stamps_fall(log: Log) -> None:
    for at, stamp in enumerate([5, 90_000_000, 7, 6]):
        log.publish(frame(at, 1, ts_recv=OPEN_MS + stamp))
        log.flush()
    found, _ = events_of(log.archive.folder / MANIFEST)
    assert [event.seq[0] for event in found if isinstance(event, TickFrame)] == [0, 1, 2, 3]


def test_a_foreign_tick_becomes_a_frame_of_one_with_its_records_stamp(log: Log) -> None:
    value = b'{"product":"NIFTY","ts_ms":%d,"price":24000.5}' % OPEN_MS
    log.append(topics.UNDERLYING, value=value, timestamp=OPEN_MS + 7)
    log.append(topics.UNDERLYING, value=codec.encode(Tick("NIFTY", OPEN_MS, 1.0, seq=4)))
    log.flush()
    found, problems = events_of(log.archive.folder / MANIFEST)
    first, second = found
    assert not problems
    assert isinstance(first, TickFrame) and isinstance(second, TickFrame)
    assert (first.ts_recv, first.tick_id, first.price) == (OPEN_MS + 7, first.seq, [24000.5])
    assert (second.seq, second.tick_id) == ([4], None)


def test_what_was_no_event_is_told_and_the_rest_comes_out(log: Log) -> None:
    good = frame(0, 2)
    header, value = codec.headers_for(good), codec.encode(good)
    log.append(topics.UNDERLYING, value=b"garbage")
    log.append(topics.UNDERLYING, value=None)
    log.append(topics.UNDERLYING, value=b"{}", headers=[("schema", b"tick:9")])
    log.append(topics.OPTION_CHAIN, value=value, headers=header)
    log.append(topics.UNDERLYING, value=value, headers=header, key=b"OTHER")
    log.append(topics.UNDERLYING, value=value, headers=header, partition=(NIFTY + 1) % PARTITIONS)
    log.append(topics.UNDERLYING, value=codec.encode(frame(0, 2, seq=[1])), headers=header)
    log.publish(good)
    log.flush()
    found, problems = events_of(log.archive.folder / MANIFEST)
    assert found == [good]
    reasons = sorted(problem.split(": ")[1] for problem in problems)
    assert reasons == [
        "foreign_partition",
        "invalid",
        "key_mismatch",
        "undecodable",
        "undecodable",
        "unknown_schema",
        "wrong_topic",
    ]
    assert len(list(archived_records(log.archive.folder))) == 8


def test_a_single_file_is_a_feed_as_well(log: Log) -> None:
    log.publish(frame(0, 3))
    log.flush()
    (path,) = files(log.archive.folder)
    assert expand_paths([str(path)]) == [path]
    assert events_of(path) == ([frame(0, 3)], [])


def test_a_file_that_is_not_what_was_written_stops_the_reading(log: Log) -> None:
    log.publish(frame(0, 3))
    log.publish(frame(3, 3))
    log.flush()
    (path,) = files(log.archive.folder)
    change_record(path, 1)
    with pytest.raises(InputError, match="differs from its entry"):
        events_of(log.archive.folder / MANIFEST)
    path.unlink()
    with pytest.raises(InputError, match="No such file"):
        events_of(log.archive.folder / MANIFEST)


def test_a_broken_chain_stops_the_reading(log: Log) -> None:
    log.publish(frame(0, 3))
    log.flush()
    manifest = log.archive.folder / MANIFEST
    manifest.write_bytes(manifest.read_bytes().replace(b'"records":1', b'"records":2') + b"{}\n")
    with pytest.raises(InputError, match="entry 2 of the manifest"):
        events_of(manifest)


def test_an_append_that_was_cut_off_is_not_read(log: Log) -> None:
    log.publish(frame(0, 3))
    log.flush()
    manifest = log.archive.folder / MANIFEST
    with manifest.open("ab") as file:
        file.write(b'{"kind":"seg')
    assert events_of(manifest) == ([frame(0, 3)], [])


def test_an_archive_that_others_write_to_is_read_as_it_is_now(log: Log) -> None:
    log.publish(frame(0, 3))
    log.flush()
    reading = open_feed(log.archive.folder / MANIFEST, HINTS).events()
    first = next(reading)
    log.publish(frame(3, 3))
    log.flush()
    assert [first, *reading] == [frame(0, 3)]


def test_deleted_files_are_left_out(tmp_path: Path) -> None:
    clock = Clock()
    log = Log(opened(tmp_path, clock))
    log.publish(frame(0, 3))
    log.flush()
    clock.days_pass(2)
    log.publish(frame(3, 3))
    log.flush()
    assert log.archive.prune(1, "me") is not None
    assert events_of(tmp_path / MANIFEST) == ([frame(3, 3)], [])


def test_an_archive_in_a_tar_is_told_to_be_unpacked(log: Log, tmp_path: Path) -> None:
    log.publish(frame(0, 3))
    log.flush()
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(log.archive.folder / MANIFEST, arcname=MANIFEST)
    with pytest.raises(InputError, match="read from its folder"):
        events_of(tmp_path / "a.tar")


def test_other_files_beside_an_archive_are_found_as_before(log: Log, tmp_path: Path) -> None:
    log.publish(frame(0, 3))
    log.flush()
    (tmp_path / "b.csv").write_text("x")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / MANIFEST).write_text('{"not": "ours"}\n')
    found = [os.path.relpath(path, tmp_path) for path in expand_paths([str(tmp_path)])]
    assert found == ["b.csv", f"live/{MANIFEST}", f"other/{MANIFEST}"]
