"""Bodies out of raw records: their parts put together again, each byte held against its hash."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from optionstream.producers.feeds import Feed, FeedHints
from optionstream.producers.feeds.feed import open_source
from optionstream.producers.feeds.files.content import Source
from optionstream.producers.feeds.hints import NearestExpiry
from optionstream.schemas.codec import Headers
from optionstream.schemas.errors import InputError, RecordError
from optionstream.schemas.raw import RawPart, part_of


class RawBody(NamedTuple):
    """``content`` is the bytes, or the file they were put together in; ``told`` what the headers of
    the first part say."""

    told: RawPart
    content: bytes | Path

    def source(self) -> Source:
        """The body as it was given to the adapter."""
        path, content = Path(self.told.name), self.content
        if isinstance(content, Path):
            return Source(path, lambda: content.open("rb"), content)
        return Source(path, partial(io.BytesIO, content))

    def feed(self, given: FeedHints, nearest: NearestExpiry) -> Feed:
        """Its events by the present adapters. ``given`` goes before what the caller said then,
        ``nearest`` is what "the nearest expiry" is asked of. Raises InputError."""
        received_ms = self.told.received if self.told.stamped else None
        return open_source(self.source(), self._hints(given, nearest), received_ms=received_ms)

    def _hints(self, given: FeedHints, nearest: NearestExpiry) -> FeedHints:
        told = self.told
        if told.instruments and not given.instruments:
            raise InputError(told.name, "it was read with a list of instruments: add --instruments")
        hints = replace(
            given,
            product=given.product or told.product or None,
            timestamp_ms=told.timestamp if given.timestamp_ms is None else given.timestamp_ms,
        )
        if given.expiry or given.nearest_expiry:
            return hints
        asked = nearest if told.nearest_expiry else None
        return replace(hints, expiry=told.expiry or None, nearest_expiry=asked)


@dataclass(slots=True)
class _Open:
    """A body of which parts are there: written to ``file`` up to before part ``next``."""

    told: RawPart
    file: Path
    next: int = 1
    size: int = 0
    digest: Any = field(default_factory=sha256)


class Assembly:
    """Takes records in their order, of any number of topics. A body of several parts is put
    together in ``folder``, which is the caller's, as are the files that were handed out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, _Open] = {}
        self._given_up: set[str] = set()

    def take(self, place: str, headers: Headers | None, value: bytes | None) -> RawBody | None:
        """The body that this record completes; None when it completes none.

        Raises InputError naming the body (else ``place``) when the record is no raw record, is
        damaged, or follows on a part that is missing: that body then never comes, and is told once.
        Raises OSError when ``folder`` cannot be written.
        """
        try:
            told = part_of(headers)
        except RecordError as error:
            raise InputError(place, f"no raw record: {error.detail}") from None
        content = value or b""
        if told.capture in self._given_up:
            return None
        if sha256(content).hexdigest() != told.part_sha256:
            raise self._lost(told, f"{_part(told)} at {place} is not what its hash says")
        if told.parts > 1:
            return self._append(told, place, content)
        if (len(content), told.part_sha256) != (told.bytes, told.sha256):
            raise self._lost(told, f"its headers at {place} contradict each other")
        return RawBody(told, content)

    def unfinished(self) -> list[InputError]:
        """Bodies whose last parts did not come."""
        return [
            self._lost(one.told, f"part {one.next} of {one.told.parts} is missing at the end")
            for one in list(self._open.values())
        ]

    def _append(self, told: RawPart, place: str, content: bytes) -> RawBody | None:
        one = self._open.get(told.capture)
        if one is None:
            one = self._open[told.capture] = _Open(told, self._folder / told.capture)
        if told.part != one.next:
            found = f"{_part(told)} follows at {place}"
            raise self._lost(told, f"part {one.next} of {told.parts} is missing: {found}")
        if (told.sha256, told.parts, told.bytes) != (
            one.told.sha256,
            one.told.parts,
            one.told.bytes,
        ):
            raise self._lost(told, f"{_part(told)} at {place} is of another body than those before")
        with one.file.open("ab") as file:
            file.write(content)
        one.digest.update(content)
        one.size += len(content)
        one.next += 1
        if one.next <= told.parts:
            return None
        if (one.size, one.digest.hexdigest()) != (told.bytes, told.sha256):
            raise self._lost(told, f"its {told.parts} parts together are not what their hash says")
        del self._open[told.capture]
        return RawBody(one.told, one.file)

    def _lost(self, told: RawPart, why: str) -> InputError:
        """Give the body up."""
        self._given_up.add(told.capture)
        one = self._open.pop(told.capture, None)
        if one is not None:
            one.file.unlink(missing_ok=True)
        return InputError(told.name, f"as received, {why}")


def _part(told: RawPart) -> str:
    return f"part {told.part} of {told.parts}"
