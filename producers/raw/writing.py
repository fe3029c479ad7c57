"""Publishing bodies as they were received, before what is made of them."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from itertools import islice
from typing import BinaryIO, NamedTuple, Protocol
from uuid import uuid4

from msgspec import structs

from optionstream.producers.feeds.files.content import Source
from optionstream.producers.feeds.hints import FeedHints
from optionstream.schemas.errors import InputError
from optionstream.schemas.raw import PART_BYTES, RawPart, headers_of


class TakesRaw(Protocol):
    """The part of Publisher that raw records need."""

    def publish_raw(
        self, base: str, value: bytes, headers: Sequence[tuple[str, bytes]], stamp_ms: int
    ) -> None: ...


class Kept(NamedTuple):
    """``source`` gives the bytes that were published; ``received_ms`` is when (UTC epoch ms)."""

    source: Source
    received_ms: int


class _Whole(NamedTuple):
    size: int
    sha256: str
    content: bytes | None
    """None when it does not fit into one part."""


class RawWriter:
    """Keeps bodies in raw topics. Each receipt is later than the one before, so that their order
    can be told over all topics."""

    def __init__(
        self,
        publisher: TakesRaw,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        part_bytes: int = PART_BYTES,
    ) -> None:
        self._publisher = publisher
        self._now_ms = now_ms
        self._part_bytes = part_bytes
        self._last_ms = 0

    def keep(self, topic: str, source: Source, hints: FeedHints, *, stamped: bool) -> Kept:
        """Publish the body and return what to read the events from: those very bytes, where the
        body fits into one part. ``stamped``: its events are received when it was. Raises
        InputError: it cannot be read, or changed meanwhile; DeliveryError."""
        self._last_ms = received_ms = max(self._now_ms(), self._last_ms + 1)
        try:
            whole = self._look(source)
            first = RawPart(
                name=str(source.path.absolute()),
                capture=uuid4().hex,
                received=received_ms,
                stamped=stamped,
                bytes=whole.size,
                sha256=whole.sha256,
                part=1,
                parts=max(1, -(-whole.size // self._part_bytes)),
                part_sha256=whole.sha256,
                product=hints.product or "",
                expiry=hints.expiry or "",
                timestamp=hints.timestamp_ms,
                nearest_expiry=hints.nearest_expiry is not None,
                instruments=bool(hints.instruments),
            )
            if whole.content is None:
                self._publish_parts(topic, source, first)
                return Kept(source, received_ms)
        except OSError as error:
            raise InputError(source.name, error.strerror or str(error)) from None
        self._publisher.publish_raw(topic, whole.content, headers_of(first), received_ms)
        held = partial(io.BytesIO, whole.content)
        return Kept(replace(source, open=held, file=None), received_ms)

    def _look(self, source: Source) -> _Whole:
        digest, size, only = sha256(), 0, b""
        with source.open() as file:
            for chunk in _chunks(file, self._part_bytes):
                only = chunk if not size else b""
                size += len(chunk)
                digest.update(chunk)
        return _Whole(size, digest.hexdigest(), only if size <= self._part_bytes else None)

    def _publish_parts(self, topic: str, source: Source, first: RawPart) -> None:
        digest = sha256()
        with source.open() as file:
            chunks = islice(_chunks(file, self._part_bytes), first.parts)
            for number, chunk in enumerate(chunks, 1):
                digest.update(chunk)
                part_sha256 = sha256(chunk).hexdigest()
                part = structs.replace(first, part=number, part_sha256=part_sha256)
                self._publisher.publish_raw(topic, chunk, headers_of(part), first.received)
        if digest.hexdigest() != first.sha256:
            raise InputError(source.name, "it changed while it was published as received")


def _chunks(file: BinaryIO, size: int) -> Iterator[bytes]:
    """All of the file, each chunk but the last ``size`` bytes long."""
    while chunk := file.read(size):
        yield chunk
