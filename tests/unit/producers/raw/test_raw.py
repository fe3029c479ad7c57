"""Bodies as received: into records, and back out of them byte for byte."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optionstream.producers.feeds import Feed, FeedHints, open_feed
from optionstream.producers.feeds.files.content import Source, file_source
from optionstream.producers.feeds.kite.instruments import Instrument
from optionstream.producers.raw.reading import Assembly, RawBody
from optionstream.producers.raw.writing import RawWriter
from optionstream.schemas import codec
from optionstream.schemas.errors import InputError, RecordError
from optionstream.schemas.events import ChainSnapshot, MarketEvent
from optionstream.schemas.raw import RawPart, headers_of, part_of
from optionstream.schemas.topics import RAW_FILES, RAW_NSE
from tests.harness import feed_files as builders
from tests.harness.feed_files import NO_HINTS, body, row, tick_lines, written

NOW = 1_767_690_000_000
TICKS = tick_lines([("2026-01-06 09:15:00", 26_000.5), ("2026-01-06 09:15:01", 26_001.0)])


@dataclass
class Topics:
    """Raw topics in memory, all in the order of their records."""

    records: list[tuple[str, list[tuple[str, bytes]], bytes]] = field(default_factory=list)
    stamps: list[int] = field(default_factory=list)

    def publish_raw(
        self, base: str, value: bytes, headers: Sequence[tuple[str, bytes]], stamp_ms: int
    ) -> None:
        self.records.append((base, list(headers), value))
        self.stamps.append(stamp_ms)


def writer(topics: Topics, part_bytes: int = 1 << 20, now_ms: int = NOW) -> RawWriter:
    return RawWriter(topics, lambda: now_ms, part_bytes)


def held(name: str, content: bytes) -> Source:
    return Source(Path("/captures") / name, lambda: io.BytesIO(content))


def taken(
    folder: Path, records: Sequence[tuple[str, Any, bytes | None]]
) -> tuple[list[RawBody], list[str]]:
    """The bodies, and what is told of the others."""
    assembly = Assembly(folder)
    bodies: list[RawBody] = []
    told: list[str] = []
    for offset, (topic, headers, value) in enumerate(records):
        try:
            found = assembly.take(f"{topic}|0|{offset}", headers, value)
        except InputError as error:
            told.append(str(error))
        else:
            bodies += [found] if found else []
    return bodies, told + [str(error) for error in assembly.unfinished()]


def bytes_of(found: RawBody) -> bytes:
    with found.source().open() as file:
        return file.read()


def tuesday(product: str, day: str) -> str:
    return "2026-01-13"


def feed_events(found: RawBody, hints: FeedHints = NO_HINTS) -> list[MarketEvent]:
    return list(found.feed(hints, tuesday).events())


# -- there and back --------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=400), min_size=1, max_size=6), st.integers(1, 90), st.data())
def test_bodies_come_back_byte_for_byte_whatever_the_size_of_parts(
    tmp_path_factory: pytest.TempPathFactory, contents: list[bytes], part_bytes: int, data: Any
) -> None:
    """Those of several feeds lie among each other; each feed's own parts are in order."""
    feeds = []
    for number, content in enumerate(contents):
        topics = Topics()
        writer(topics, part_bytes).keep(
            RAW_FILES, held(f"{number}.bin", content), NO_HINTS, stamped=False
        )
        assert all(len(value) <= part_bytes for _, _, value in topics.records)
        feeds.append(topics.records)
    mixed = []
    while left := [records for records in feeds if records]:
        mixed.append(data.draw(st.sampled_from(left)).pop(0))
    bodies, told = taken(tmp_path_factory.mktemp("spool"), mixed)
    assert told == []
    assert {found.told.name: bytes_of(found) for found in bodies} == {
        f"/captures/{number}.bin": content for number, content in enumerate(contents)
    }


def test_a_body_of_several_parts_is_put_together_on_disk(tmp_path: Path) -> None:
    topics = Topics()
    writer(topics, 10).keep(RAW_FILES, held("a", b"x" * 25), NO_HINTS, stamped=False)
    writer(topics, 10).keep(RAW_FILES, held("b", b"y" * 10), NO_HINTS, stamped=False)
    (long, short), _ = taken(tmp_path, topics.records)
    assert isinstance(long.content, Path)
    assert long.source().file == long.content
    assert short.content == b"y" * 10


@given(
    st.builds(
        RawPart,
        name=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
        capture=st.uuids().map(lambda one: one.hex),
        received=st.integers(0, 1 << 52),
        stamped=st.booleans(),
        bytes=st.integers(0, 1 << 40),
        sha256=st.binary(min_size=32, max_size=32).map(bytes.hex),
        part=st.integers(1, 50),
        parts=st.integers(50, 99),
        part_sha256=st.binary(min_size=32, max_size=32).map(bytes.hex),
        product=st.sampled_from(["", "NIFTY", "NULL", "1"]),
        expiry=st.sampled_from(["", "2026-01-06"]),
        timestamp=st.none() | st.integers(0, 1 << 52),
        nearest_expiry=st.booleans(),
        instruments=st.booleans(),
    )
)
def test_headers_tell_all_of_a_part(part: RawPart) -> None:
    assert part_of([("of somebody else", None), *headers_of(part)]) == part


def test_a_name_that_is_no_text_comes_back(tmp_path: Path) -> None:
    topics = Topics()
    path = Path(os.fsdecode(b"/captures/nifty-\xff.csv"))
    source = Source(path, lambda: io.BytesIO(b"x"))
    writer(topics).keep(RAW_FILES, source, NO_HINTS, stamped=False)
    (found,), _ = taken(tmp_path, topics.records)
    assert found.source().path == path


# -- what is missing or damaged --------------------------------------------------------------------


def long_and_short(part_bytes: int = 10) -> Topics:
    """A body of four parts, then one of a single part."""
    topics = Topics()
    keeper = writer(topics, part_bytes)
    keeper.keep(RAW_NSE, held("long.json", bytes(range(35))), NO_HINTS, stamped=False)
    keeper.keep(RAW_NSE, held("short.json", b"short"), NO_HINTS, stamped=False)
    return topics


@pytest.mark.parametrize("gone", [1, 2, 3, 4])
def test_a_missing_part_is_named_and_other_bodies_come(tmp_path: Path, gone: int) -> None:
    records = long_and_short().records
    del records[gone - 1]
    bodies, told = taken(tmp_path, records)
    assert [bytes_of(found) for found in bodies] == [b"short"]
    (line,) = told
    assert line.startswith("/captures/long.json: ")
    assert f"part {gone} of 4 is missing" in line
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_part_is_named_and_other_bodies_come(tmp_path: Path) -> None:
    rng = Random(5)
    for hit in range(5):
        records = long_and_short().records
        topic, headers, value = records[hit]
        at = rng.randrange(len(value))
        changed = value[:at] + bytes([value[at] ^ (1 << rng.randrange(8))]) + value[at + 1 :]
        records[hit] = topic, headers, changed
        bodies, told = taken(tmp_path, records)
        name, part = ("short.json", "1 of 1") if hit == 4 else ("long.json", f"{hit + 1} of 4")
        assert [found.told.name for found in bodies] == [
            f"/captures/{one}" for one in ("long.json", "short.json") if one != name
        ]
        for found in bodies:
            if isinstance(found.content, Path):
                found.content.unlink()
        assert told == [
            f"/captures/{name}: as received, part {part} at {RAW_NSE}|0|{hit} is not what its "
            "hash says"
        ]


def test_a_part_of_another_body_under_the_same_capture_is_told(tmp_path: Path) -> None:
    records = long_and_short().records
    told = dict(records[2][1]) | {"parts": b"5"}
    records[2] = records[2][0], list(told.items()), records[2][2]
    bodies, lines = taken(tmp_path, records)
    assert len(bodies) == len(lines) == 1
    assert "part 3 of 5 at raw.nse|0|2 is of another body" in lines[0]


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (None, "its schema is none"),
        ([("schema", b"tick:1")], "its schema is 'tick:1'"),
        ([("schema", b"raw_part:1")], "its headers: "),
    ],
)
def test_a_record_of_somebody_else_is_told_with_its_place(
    tmp_path: Path, headers: Any, said: str
) -> None:
    _, (line,) = taken(tmp_path, [(RAW_FILES, headers, b"x")])
    assert line.startswith(f"raw.files|0|0: no raw record: {said}")


@pytest.mark.parametrize("changes", [{"part": b"9"}, {"sha256": b"../../etc"}, {"capture": b"/x"}])
def test_headers_that_cannot_be_are_refused(changes: dict[str, bytes]) -> None:
    good = dict(long_and_short().records[0][1])
    with pytest.raises(RecordError):
        part_of(list((good | changes).items()))


def test_a_file_that_changes_while_it_is_published_is_told() -> None:
    contents = [b"a" * 30, b"a" * 10 + b"b" * 20]
    source = Source(Path("/captures/busy"), lambda: io.BytesIO(contents.pop(0)))
    with pytest.raises(InputError, match="busy: it changed while"):
        writer(Topics(), 10).keep(RAW_FILES, source, NO_HINTS, stamped=False)


# -- what is made of them --------------------------------------------------------------------------


def test_events_are_made_of_the_very_bytes_that_were_published(tmp_path: Path) -> None:
    path = written(tmp_path / "nifty.csv", TICKS)
    before = builders.events_of(path)
    topics = Topics()
    kept = writer(topics).keep(RAW_FILES, file_source(path), NO_HINTS, stamped=False)
    path.write_text("something else")
    (found,), _ = taken(tmp_path, topics.records)
    assert kept.source.body() == bytes_of(found)
    assert feed_events(found) == before


def test_a_name_still_tells_what_the_content_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the path was given relative to a folder that is another one now."""
    folder = tmp_path / "ticks-banknifty-1s"
    folder.mkdir()
    written(folder / "2026-01-06.csv", TICKS)
    monkeypatch.chdir(folder)
    topics = Topics()
    writer(topics).keep(RAW_FILES, file_source(Path("2026-01-06.csv")), NO_HINTS, stamped=False)
    monkeypatch.chdir("/")
    (found,), _ = taken(tmp_path, topics.records)
    assert {event.product for event in feed_events(found)} == {"BANKNIFTY"}


def test_a_table_is_read_from_the_record_not_from_where_it_lay(tmp_path: Path) -> None:
    path = tmp_path / "trades.parquet"
    times = pl.Series([NOW, NOW + 1]).cast(pl.Datetime("ms", "UTC"))
    rows = {"timestamp": times, "trade_id": [1, 2], "price": [100.0, 101.0]}
    pl.DataFrame(rows).write_parquet(path)
    hints = FeedHints(product="BTCUSDT")
    before = builders.events_of(path, hints)
    for part_bytes in (1 << 20, 100):
        topics = Topics()
        writer(topics, part_bytes).keep(RAW_FILES, file_source(path), hints, stamped=False)
        path.rename(tmp_path / "moved")
        pl.DataFrame({**rows, "price": [7.0, 7.0]}).write_parquet(path)
        (found,), _ = taken(tmp_path, topics.records)
        assert feed_events(found) == before
        (tmp_path / "moved").rename(path)


def test_a_live_body_keeps_its_receipt_and_a_replayed_one_its_own(tmp_path: Path) -> None:
    path = written(tmp_path / "nifty.csv", TICKS)
    for stamped in (True, False):
        topics = Topics()
        writer(topics, now_ms=NOW + 5).keep(RAW_FILES, file_source(path), NO_HINTS, stamped=stamped)
        (found,), _ = taken(tmp_path, topics.records)
        first = feed_events(found)[0]
        own = builders.events_of(path)[0].ts_recv
        assert first.ts_recv == (NOW + 5 if stamped else own)


def test_each_receipt_is_later_than_the_one_before() -> None:
    topics = Topics()
    keeper = writer(topics)
    for number in range(5):
        keeper.keep(RAW_FILES, held(str(number), b"x"), NO_HINTS, stamped=True)
    assert topics.stamps == [NOW + number for number in range(5)]


# -- what the caller said --------------------------------------------------------------------------


def kept_with(hints: FeedHints, content: Any, tmp_path: Path) -> RawBody:
    topics = Topics()
    path = written(tmp_path / "body.json", content)
    writer(topics).keep(RAW_NSE, file_source(path), hints, stamped=False)
    (found,), _ = taken(tmp_path, topics.records)
    return found


def test_what_the_caller_said_is_remembered_and_can_be_corrected(tmp_path: Path) -> None:
    chain = body([row(26_000.0)], timestamp="")
    only = chain["records"]["data"][0]
    for told in (only, only["CE"], only["PE"]):
        told.pop("expiryDate")
        told.pop("underlying", None)
    at = {"nifty": ("NIFTY", "2026-01-06", NOW), "later": ("NIFTY", "2026-01-20", NOW + 1)}
    found = kept_with(FeedHints("NIFTY", "2026-01-06", NOW), chain, tmp_path)
    assert said(found) == at["nifty"]
    assert said(found, FeedHints(expiry="2026-01-20", timestamp_ms=NOW + 1)) == at["later"]
    asked = kept_with(FeedHints("NIFTY", None, NOW, lambda product, day: None), chain, tmp_path)
    assert asked.feed(NO_HINTS, tuesday).hints.expiry_on("NIFTY", NOW) == "2026-01-13"
    assert asked.feed(FeedHints(expiry="2026-01-20"), tuesday).hints.nearest_expiry is None
    assert found.feed(FeedHints(nearest_expiry=tuesday), tuesday).hints.expiry is None


def said(found: RawBody, hints: FeedHints = NO_HINTS) -> tuple[str, str, int]:
    (event,) = feed_events(found, hints)
    assert isinstance(event, ChainSnapshot)
    return event.product, event.expiry, event.ts_event


def test_a_list_of_instruments_has_to_be_given_again(tmp_path: Path) -> None:
    listed = FeedHints(product="NIFTY", instruments={1: Instrument("INFY", None)})
    found = kept_with(listed, TICKS, tmp_path)
    with pytest.raises(InputError, match="add --instruments"):
        feed_events(found)
    assert feed_events(found, FeedHints(instruments=listed.instruments))


# -- real files ------------------------------------------------------------------------------------

MOST_BYTES = 1 << 20


def test_real_files_of_every_kind_give_the_same_after_the_way_through_records(
    shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    """Events, refusals and what is told of rows; a tar, tables on disk and packings among them."""
    hints = FeedHints(product="NIFTY", expiry="2026-01-13", timestamp_ms=NOW)
    kinds: dict[tuple[Path, str], Path] = {}
    for path in sorted(shared_data(".").rglob("*")):
        if path.is_file() and 0 < path.stat().st_size <= MOST_BYTES:
            kinds.setdefault((path.parent, "".join(path.suffixes[-2:])), path)
    known = set()
    for path in kinds.values():
        topics = Topics()
        writer(topics, 1 << 16).keep(RAW_FILES, file_source(path), hints, stamped=False)
        (found,), told = taken(tmp_path, topics.records)
        assert told == []
        plain = outcome(partial(open_feed, path, hints))
        assert outcome(partial(found.feed, NO_HINTS, tuesday)) == plain, path
        known.add(plain[0])
    assert len(known) > 8


def outcome(opened: Callable[[], Feed]) -> tuple[str, list[bytes], list[str]]:
    """Format, events and problems; or the one line that says why there are none."""
    try:
        feed = opened()
        return feed.format, [codec.encode(event) for event in feed.events()], feed.problems
    except InputError as error:
        return "", [], [error.why]
