"""What the consumer loop and a sink promise each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from confluent_kafka import Message

from optionstream.schemas.errors import OptionstreamError
from optionstream.streams.kafka.topic_ids import Topic


@dataclass(frozen=True, slots=True)
class Assigned:
    """A partition this worker was given. ``base`` is the topic's name without namespace."""

    base: str
    topic: Topic
    partition: int
    asked: int | None = None
    """The committed offset, where it was set by hand: the store's own position gives way to it
    if writing anything again changes nothing."""

    @property
    def key(self) -> tuple[str, int]:
        return self.topic.name, self.partition


class StartAgain(OptionstreamError):
    """What was read does not follow on what is stored: drop it and begin again from the stores.

    Another worker wrote the same range, or a topic was recreated.
    """


class Sink(Protocol):
    """Rows in memory until ``flush``; the loop commits offsets only after ``flush`` returned."""

    unavailable: tuple[type[Exception], ...]
    """What ``prepare``, ``start`` and ``flush`` raise when the server fails: tried again."""

    @property
    def server(self) -> str:
        """The server's name, for the log."""
        ...

    @property
    def pending(self) -> int:
        """Rows waiting for ``flush``."""
        ...

    @property
    def appetite(self) -> int:
        """How many records the next ``add`` should have at most; 0 asks for a flush first."""
        ...

    def prepare(self) -> None:
        """Make the server ready: collections, indexes. May be called again."""
        ...

    def start(self, assigned: Sequence[Assigned]) -> Mapping[tuple[str, int], int]:
        """Forget all rows; these partitions follow. Returns where to begin, by ``Assigned.key``,
        for the partitions whose position the store keeps (-2: the beginning)."""
        ...

    def add(self, records: Sequence[Message]) -> int:
        """Decode records and keep their rows; returns how many records it took before it was full,
        at least one. Raises nothing for a bad record: it is counted."""
        ...

    def flush(self, reached: Mapping[tuple[str, int], int]) -> None:
        """Write all rows and forget them. Writing the same rows again must change nothing.
        ``reached`` is the next offset of each partition once they are written, for a store that
        keeps positions of what it was brought to.

        Raises one of ``unavailable`` with the rows kept, or `StartAgain`; ArchiveError ends the
        worker.
        """
        ...

    def check(self) -> None:
        """Asked now and then, at rest as well: raises `StartAgain` when the store has lost what
        was written, or one of ``unavailable``. May write what is due though nothing came in."""
        ...

    def drop(self) -> None:
        """Forget all rows."""
        ...
