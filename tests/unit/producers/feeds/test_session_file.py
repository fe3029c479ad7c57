"""The session format: what is written is read, in order; what was cut off is an error."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from optionstream.producers.feeds import FeedHints, open_feed
from optionstream.producers.feeds.files import content
from optionstream.producers.feeds.session_file import (
    SessionHeader,
    header_for,
    read_header,
    write_session,
)
from optionstream.producers.simulated import SimulatedMarket, SimulationConfig
from optionstream.schemas import codec
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import Heartbeat, MarketEvent
from tests.harness.feed_files import NO_HINTS, at, events_of, packed, written

CONFIG = SimulationConfig(
    seed=3, date="2026-01-06", close_ms=at("2026-01-06 09:25:00"), frame_ms=10_000
)
HEADER = header_for(CONFIG.products, CONFIG.described())


def _unpacked(path: Path) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())


def _beats(count: int) -> Iterator[Heartbeat]:
    return (Heartbeat("NIFTY", "sim", n, n) for n in range(count))


def test_what_is_written_is_read_in_order(tmp_path: Path) -> None:
    events = list(SimulatedMarket(CONFIG).events())
    path = tmp_path / "day.jsonl.zst"
    assert write_session(path, HEADER, events) == len(events)
    feed = open_feed(path, NO_HINTS)
    assert feed.format == "optionstream-session"
    assert list(feed.events()) == events
    assert read_header(path) == HEADER


@pytest.mark.parametrize("how", ["plain", "gzip", "zstd"])
def test_a_session_is_known_by_its_first_line(tmp_path: Path, how: str) -> None:
    path = tmp_path / "a"
    write_session(path, HEADER, _beats(3))
    other = written(tmp_path / "b.csv", packed(_unpacked(path), how))
    assert events_of(other) == list(_beats(3))


def test_the_same_session_is_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_session(tmp_path / name, HEADER, SimulatedMarket(CONFIG).events())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_lines_carry_the_bytes_of_the_wire(tmp_path: Path) -> None:
    beat = next(_beats(1))
    write_session(tmp_path / "a", SessionHeader(products=["NIFTY"]), [beat])
    header, line = _unpacked(tmp_path / "a").splitlines()
    assert header == (
        b'{"format":"optionstream.session","version":1,"products":["NIFTY"],"created_from":{}}'
    )
    assert line == b'{"schema":"heartbeat:1","value":' + codec.encode(beat) + b"}"


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.zst"
    write_session(path, HEADER, _beats(2))
    before = path.read_bytes()

    def failing() -> Iterator[MarketEvent]:
        yield from _beats(1)
        raise InputError("elsewhere", "broken")

    with pytest.raises(InputError, match="broken"):
        write_session(path, HEADER, failing())
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        write_session(tmp_path / "missing" / "a", HEADER, [])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_session_is_an_error_after_the_events_before_the_cut(
    tmp_path: Path, share: float
) -> None:
    path = tmp_path / "a"
    write_session(path, HEADER, SimulatedMarket(CONFIG).events())
    whole = path.read_bytes()
    cut = written(tmp_path / "cut", whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match="truncated zstd"):
        list(open_feed(cut, FeedHints()).events())


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_session(path, HEADER, SimulatedMarket(CONFIG).events())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    damaged = written(tmp_path / "damaged", bytes(content))
    with pytest.raises(InputError, match="damaged zstd"):
        list(open_feed(damaged, NO_HINTS).events())


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"schema":"heartbeat:9","value":{}}', "unknown_schema"),
        (b'{"schema":"heartbeat:1","value":{"product":"NIFTY"}}', "invalid"),
        (b'{"schema":"tick:1","value":{"product":"NIFTY","ts_ms":1,"price":2}}', "wrong_topic"),
        (b'{"schema":"tick_frame:1","value":{"product":"NIFTY","source":"x","session":"y",'
         b'"ts_recv":1,"ts_ms":[1,2],"price":[1],"seq":[1]}}', "invalid: price has 1"),
        (b"not json", "malformed"),
        (b"\xff\xfe", "malformed"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_read_is_told_and_the_others_are_read(
    tmp_path: Path, line: bytes, why: str
) -> None:
    write_session(tmp_path / "a", HEADER, _beats(2))
    header, first, second = _unpacked(tmp_path / "a").splitlines()
    feed = open_feed(written(tmp_path / "b", b"\n".join([header, first, line, second])), NO_HINTS)
    assert list(feed.events()) == list(_beats(2))
    (problem,) = feed.problems
    assert problem.startswith("line 3: ")
    assert why in problem


def test_a_later_version_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a", '{"format":"optionstream.session","version":2,"products":[]}\n')
    with pytest.raises(InputError, match="reads version 1"):
        list(open_feed(path, NO_HINTS).events())


def test_a_header_of_another_shape_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a", '{"format":"optionstream.session","products":7}\n')
    with pytest.raises(InputError, match="no session header"):
        list(open_feed(path, NO_HINTS).events())


def test_reading_and_writing_need_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "a"
    tracemalloc.start()
    try:
        write_session(path, HEADER, _beats(60_000))
        assert sum(1 for _ in open_feed(path, NO_HINTS).events()) == 60_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The lines alone are 5.5 MB, the events 9 MB; these compress 40 times better than real ones.
    assert peak < 4_500_000


@pytest.mark.parametrize(
    "form",
    [
        '{"schema":"SCHEMA","value":VALUE}',
        '{"schema": "SCHEMA", "value": VALUE}',
        '{"value":VALUE,"schema":"SCHEMA"}',
        '{"schema":"SCHEMA","value":VALUE,"note":{}}',
        '{"note":"","schema":"SCHEMA","value":VALUE}',
        '{"schema":"SCHEMA","note":"","value":VALUE}',
        '{"schema":"SCHEMA","note":"","value":VALUE}\r',
    ],
)
def test_a_line_is_read_as_the_json_that_it_is(tmp_path: Path, form: str) -> None:
    (beat,) = _beats(1)
    value = codec.encode(beat).decode()
    line = form.replace("SCHEMA", codec.schema_of(beat)).replace("VALUE", value)
    path = tmp_path / "a"
    write_session(path, HEADER, ())
    text = _unpacked(path) + line.encode() + b"\n"
    feed = open_feed(written(tmp_path / "b", text), NO_HINTS)
    assert list(feed.events()) == [beat]
    assert not feed.problems


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_lines_do_not_tell_where_the_chunks_were_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(content, "CHUNK_BYTES", size)
    text = b"a\n\nbcd\n" + b"e" * 20 + b"\nf"
    path = written(tmp_path / "a", text)
    assert list(content.file_source(path).lines()) == text.split(b"\n")
    path.write_bytes(text + b"\n")
    assert list(content.file_source(path).lines()) == text.split(b"\n")
