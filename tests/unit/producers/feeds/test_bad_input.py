"""Files that are no market data give one clear error that names them."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optionstream.producers.feeds import FeedHints, open_feed
from optionstream.schemas.errors import InputError, UsageError
from tests.harness.feed_files import NO_HINTS, body, packed, row, tick_lines, written

NIFTY = FeedHints(product="NIFTY")
TICKS = tick_lines([(f"2026-01-06 09:{n // 60 + 15}:{n % 60:02d}", 26000 + n) for n in range(900)])


def _read(path: Path) -> None:
    list(open_feed(path, NIFTY).events())


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("empty.csv", b"", "the file is empty"),
        ("blank.csv", b" \n\n ", "the file is empty"),
        ("empty.csv.gz", gzip.compress(b"", mtime=0), "the file is empty"),
        ("page.csv", b"<!DOCTYPE html><html><body>Access denied</body></html>", "HTML"),
        ("page.json", b"\n\n<html>", "HTML"),
        ("page.csv.gz", gzip.compress(b"<html>", mtime=0), "HTML"),
        ("header.csv", b"timestamp,price\n", "not a known format"),
        ("text.md", b"# Some notes\n", "not a known format"),
        ("bars.csv", b"date,open,high\n2026-01-06 09:15:00,1,2,3\n", "not a known format"),
        ("word", b"\xff\xd8\xff\xe0 a picture", "not a known format"),
        ("cut.json", b'{"records":{"data":[{"strikePrice":', "truncated or damaged JSON"),
        ("cut2.json", b"{", "truncated or damaged JSON"),
        ("two.json", b'{"records":{"data":[]}}{}', "truncated or damaged JSON"),
        ("latin.json", b'{"records":{"data":[],"timestamp":"\xe9"}}', "JSON"),
        ("deep.json", b'{"a":' + b"[" * 100_000, "JSON"),
        ("cut.csv.gz", gzip.compress(TICKS.encode(), mtime=0)[:-20], "truncated gzip"),
        ("no-end.csv.gz", gzip.compress(TICKS.encode(), mtime=0)[:-8], "truncated gzip"),
        ("tail.csv.gz", gzip.compress(TICKS.encode(), mtime=0) + b"tail", "damaged gzip"),
        ("cut.csv.zst", packed(TICKS.encode(), "zstd")[:-5], "truncated zstd"),
        ("magic.zst", b"\x28\xb5\x2f\xfd", "truncated zstd"),
        ("magic.gz", b"\x1f\x8b", "truncated gzip"),
    ],
)  # fmt: skip
def test_a_bad_file_is_named_with_the_reason(
    tmp_path: Path, name: str, content: bytes, why: str
) -> None:
    path = written(tmp_path / name, content)
    with pytest.raises(InputError, match=why) as raised:
        _read(path)
    assert raised.value.source == str(path)
    assert "\n" not in str(raised.value)


def test_an_unknown_format_lists_what_is_readable(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"option chains.*tick.*session"):
        open_feed(written(tmp_path / "a", "hello"), NO_HINTS)


def test_a_truncated_packed_file_yields_no_event_at_all(tmp_path: Path) -> None:
    path = written(tmp_path / "a", gzip.compress(TICKS.encode())[:-9])
    with pytest.raises(InputError):
        next(open_feed(path, NIFTY).events())


def test_several_gzip_members_are_one_file(tmp_path: Path) -> None:
    half = TICKS.index("\n", len(TICKS) // 2) + 1
    content = gzip.compress(TICKS[:half].encode()) + gzip.compress(TICKS[half:].encode())
    feed = open_feed(written(tmp_path / "a", content), NIFTY)
    assert sum(len(getattr(event, "ts_ms", ())) for event in feed.events()) == 900


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    for content in (TICKS.encode(), json.dumps(body([row(26000)])).encode()):
        _read(written(tmp_path / "a", b"\xef\xbb\xbf" + content))


@pytest.mark.parametrize("name", ["missing.csv", ""])
def test_a_file_that_cannot_be_opened_is_an_input_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=str(tmp_path)):
        open_feed(tmp_path / name, NO_HINTS)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_an_input_error(tmp_path: Path) -> None:
    path = written(tmp_path / "a", TICKS)
    path.chmod(0)
    with pytest.raises(InputError, match="Permission"):
        _read(path)


@pytest.mark.parametrize("ticks", [0, 10_001])
def test_a_frame_size_out_of_range_is_a_usage_error(tmp_path: Path, ticks: int) -> None:
    with pytest.raises(UsageError, match="1 to 10000"):
        open_feed(written(tmp_path / "a", TICKS), NIFTY, ticks)


_starts = st.sampled_from(
    [
        b"",
        b"{",
        b"[",
        b"\x1f\x8b\x08",
        b"\x28\xb5\x2f\xfd",
        b"\xfd7zXZ\x00",
        b'{"records":',
        b'[{"Inst":"B","lastprice":',
        b'{"data":[{"strike_price":1,"call_options":',
        b"CALLS,,PUTS\n",
        b"PAR1",
        b"SQLite format 3\x00",
        bytes(257) + b"ustar",
    ]
)


@given(_starts, st.binary(max_size=300))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=300,
    deadline=None,  # the first Parquet file loads the library
)
def test_random_bytes_give_an_input_error_and_nothing_else(
    tmp_path: Path, start: bytes, rest: bytes
) -> None:
    path = written(tmp_path / "a", start + rest)
    with pytest.raises(InputError):
        _read(path)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_a_good_body_cut_anywhere_is_an_input_error(tmp_path: Path, data: st.DataObject) -> None:
    whole = json.dumps(body([row(26000), row(26050)])).encode()
    how = data.draw(st.sampled_from(["plain", "gzip", "zstd"]))
    content = packed(whole, how)
    cut = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(InputError):
        _read(written(tmp_path / "a", content[:cut]))
