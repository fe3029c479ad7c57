"""What the consumer loop and a sink promise each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from confluent_kafka import Message

from optionstream.schemas.errors import OptionstreamError
from optionstream.streams.kafka.topic_ids import Topic

Place = tuple[str, int]
"""A topic's full name and a partition."""


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """How a group's loop reads, writes and commits."""

    linger_s: float = 0.0
    """How long rows may wait for more before they are written."""
    commit_every_s: float = 0.0
    """How long a written offset may stay uncommitted."""
    check_topics_every_s: float = 0.0
    """How often the topics' ids are requested. 0: before every flush, which waits for the answer;
    otherwise the first flush after the answer uses it."""
    gather_ms: int = 10
    """How long the next request for records waits once one has brought some: requests cost the
    broker more than records do."""
    held: Collection[str] = ()
    """Topics, without namespace, whose records are added every ``held_s`` only."""
    held_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Assigned:
    """A partition this worker was given. ``base`` is the topic's name without namespace."""

    base: str
    topic: Topic
    partition: int
    asked: int | None = None
    """Offset an operator committed by hand. It overrides the store's position when the sink's
    writes are idempotent."""

    @property
    def key(self) -> Place:
        """The topic's full name and the partition."""
        return self.topic.name, self.partition


class StartAgain(OptionstreamError):
    """What was read does not follow what is stored: drop it and start again from the stores.

    Another worker wrote the same range, or a topic was recreated.
    """


class Sink(Protocol):
    """Rows in memory until ``flush_rows``; offsets are committed only after it returned."""

    unavailable: tuple[type[Exception], ...]
    """What the methods raise when the server fails: the loop tries again."""

    @property
    def server(self) -> str:
        """The server's name, for the log."""
        ...

    @property
    def appetite(self) -> int:
        """The most records that the next ``add_records`` should get; 0 asks for a flush first."""
        ...

    def prepare_store(self) -> None:
        """Make the server ready: collections, indexes. May be called again."""
        ...

    def start_partitions(self, assigned: Sequence[Assigned]) -> Mapping[Place, int]:
        """Forget all rows; these partitions follow. Return the first offset of those whose
        position the store keeps, by ``Assigned.key`` (-2: the beginning)."""
        ...

    def add_records(self, records: Sequence[Message]) -> int:
        """Decode records and keep their rows; return how many were added before the sink was
        full, at least one. Raises nothing for a bad record: it is counted."""
        ...

    def flush_rows(self, reached: Mapping[Place, int]) -> None:
        """Write all rows and forget them. Writing the same rows again must change nothing.
        ``reached``: the next offset of each partition once they are written, for a store that
        keeps positions.

        Raises one of ``unavailable`` with the rows kept, or StartAgain; ArchiveError ends the
        worker.
        """
        ...

    def check_store(self) -> None:
        """Called now and then, at rest as well. Raises StartAgain when the store has lost what was
        written, or one of ``unavailable``. May write what is due though no record came."""
        ...

    def drop_rows(self) -> None:
        """Forget all rows."""
        ...
