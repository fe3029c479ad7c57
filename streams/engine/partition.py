"""One source partition as the checkpoint sees it: how far it was applied, how far it is durable."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from faust.types import TP

from optionstream.streams.core.intake import Incoming, Source
from optionstream.streams.engine.ports import Processor
from optionstream.streams.engine.slices import Slices
from optionstream.streams.engine.state_topic import NOTHING_APPLIED, Restored

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Partition:
    """A partition's logic and its two offsets; they differ while memory is ahead of Kafka."""

    source: Source
    processor: Processor
    generation: int
    topic_id: str
    offset: int
    """Last source offset whose state is durable."""
    segments: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Name to offset in the state topic and record key."""
    stale: list[bytes] = field(default_factory=list)
    """Keys of versions that the last durable snapshot no longer needs."""
    slices: Slices = field(default_factory=Slices)
    applied: int = field(init=False)
    """Last source offset applied in memory."""

    def __post_init__(self) -> None:
        self.applied = self.offset

    def retire_segment(self, name: str) -> None:
        """Forget the stored version of a segment; its key is deleted after the next snapshot."""
        previous = self.segments.pop(name, None)
        if previous is not None:
            self.stale.append(previous[1].encode())


@dataclass(frozen=True, slots=True)
class Moment:
    """The state of a partition between two slices, not yet written."""

    partition: Partition
    offset: int
    hot: bytes
    segments: Mapping[str, bytes | None]


@dataclass(frozen=True, slots=True)
class Part:
    """A slice of a fetch; ``last``: the last one of its partition."""

    tp: TP
    records: Sequence[Incoming]
    last: bool


def restored_partition(
    source: Source, processor: Processor, topic_id: str, stored: Restored
) -> Partition:
    """Return the partition with the stored state, or an empty one of a new generation when the
    source topic was recreated."""
    snapshot = stored.snapshot
    if snapshot is None:
        return Partition(source, processor, 1, topic_id, NOTHING_APPLIED)
    if snapshot.offset != NOTHING_APPLIED and snapshot.topic_id != topic_id:
        logger.warning(
            "%s was recreated: partition %d starts generation %d",
            source.topic,
            source.partition,
            snapshot.generation + 1,
        )
        return Partition(source, processor, snapshot.generation + 1, topic_id, NOTHING_APPLIED)
    if snapshot.hot:
        processor.restore(snapshot.hot, stored.segments)
    segments = dict(snapshot.segments)
    return Partition(source, processor, snapshot.generation, topic_id, snapshot.offset, segments)
