"""Archives are read member by member, each under its own name; xz is a packing like gzip."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from optionstream.producers.feeds import FeedHints, open_feed
from optionstream.producers.feeds.files.archive import members
from optionstream.producers.feeds.files.content import file_source
from optionstream.schemas.errors import InputError
from optionstream.schemas.events import ChainSnapshot, MarketEvent
from tests.harness.feed_files import NO_HINTS, body, chains_of, packed, row, written

CHAIN = json.dumps(body([row(26000)])).encode()


def _tar(files: Mapping[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def _why(path: Path, hints: FeedHints = NO_HINTS) -> str:
    with pytest.raises(InputError) as raised:
        list(open_feed(path, hints).events())
    assert raised.value.source == str(path)
    assert "\n" not in str(raised.value)
    return raised.value.why


@pytest.mark.parametrize("how", ["plain", "gzip", "xz", "zstd"])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_an_archive_gives_the_events_of_its_members_in_order(
    tmp_path: Path, how: str, form: int
) -> None:
    later = json.dumps(body([row(26000)], timestamp="06-Jan-2026 11:00:00")).encode()
    content = _tar({"b": later, "folder/a.json.gz": gzip.compress(CHAIN)}, form)
    content = lzma.compress(content) if how == "xz" else packed(content, how)
    path = written(tmp_path / "pack", content)
    assert open_feed(path, NO_HINTS).format == "tar"
    first, second = chains_of(path)
    assert first.ts_event > second.ts_event
    assert [*chains_of(path)] == [first, second]


@pytest.mark.parametrize("how", ["plain", "gzip"])
def test_xz_is_a_packing(tmp_path: Path, how: str) -> None:
    path = written(tmp_path / "a", lzma.compress(packed(CHAIN, how)))
    if how == "plain":
        assert len(chains_of(path)) == 1
    else:
        assert "not a known format" in _why(path)


@pytest.mark.parametrize("cut", [1, 20])
def test_a_truncated_xz_is_told(tmp_path: Path, cut: int) -> None:
    assert "truncated xz" in _why(written(tmp_path / "a", lzma.compress(CHAIN)[:-cut]))


def test_a_damaged_xz_is_told(tmp_path: Path) -> None:
    content = bytearray(lzma.compress(CHAIN))
    content[len(content) // 2] ^= 0xFF
    assert "damaged xz" in _why(written(tmp_path / "a", bytes(content)))


def test_a_member_that_cannot_be_read_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    bad_row = json.dumps(body([row(26000), row(26050, "someday")])).encode()
    content = _tar({"notes.md": b"# notes", "x/a": bad_row, "page": b"<html>"})
    feed = open_feed(written(tmp_path / "pack.tar", content), NO_HINTS)
    (chain,) = feed.events()
    assert isinstance(chain, ChainSnapshot)
    notes, row_told, page = feed.problems
    assert notes.startswith("notes.md: not a known format")
    assert row_told.startswith("x/a: row 2: expiry: 'someday' is not a date")
    assert page.startswith("page: an HTML")


def test_reading_again_tells_the_same(tmp_path: Path) -> None:
    content = _tar({"a": CHAIN, "b": b"nothing"})
    feed = open_feed(written(tmp_path / "pack.tar", content), NO_HINTS)
    first, problems = list(feed.events()), list(feed.problems)
    assert (list(feed.events()), feed.problems) == (first, problems)


def test_an_archive_of_nothing_readable_names_the_first_reason(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tar", _tar({"x": b"", "y": b"hello"}))
    assert _why(path).startswith("no member can be read; x: the file is empty")
    assert "it has none" in _why(written(tmp_path / "b.tar", _tar({".hidden": CHAIN, "d/.e": b""})))


def test_an_archive_inside_an_archive_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tar", _tar({"inner.tar.gz": gzip.compress(_tar({"a": CHAIN}))}))
    assert "inner.tar.gz: an archive inside an archive" in _why(path)


def test_a_link_is_told(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("empty"))
    assert "link: no regular file" in _why(written(tmp_path / "a.tar", out.getvalue()))


def test_a_member_lies_below_its_archive_whatever_it_is_called(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tar", _tar({"/abs/x": b"1", "y": b"2"}))
    found = list(members(file_source(path), []))
    assert [str(one.path.relative_to(path)) for one in found] == ["abs/x", "y"]
    assert [one.body() for one in found] == [b"1", b"2"]


@pytest.mark.parametrize("how", ["plain", "gzip", "zstd"])
def test_an_archive_cut_anywhere_is_an_error_behind_what_was_whole(
    tmp_path: Path, how: str
) -> None:
    whole = _tar({"a": CHAIN, "b": CHAIN})
    content = packed(whole, how)
    end = len(whole.rstrip(b"\0")) + 512 if how == "plain" else len(content)
    for cut in range(300, end, 97):
        path = written(tmp_path / "a.tar", content[:cut])
        events: list[MarketEvent] = []
        with pytest.raises(InputError, match=r"truncated|damaged"):
            events.extend(open_feed(path, NO_HINTS).events())
        assert len(events) <= 2


def test_a_member_of_another_size_than_it_says_is_an_error(tmp_path: Path) -> None:
    content = bytearray(_tar({"a": CHAIN}, tarfile.USTAR_FORMAT))
    content[124:136] = b"77777777777\x00"
    with pytest.raises(InputError, match=r"damaged tar|more than 512 MB"):
        list(open_feed(written(tmp_path / "a.tar", bytes(content)), NO_HINTS).events())
