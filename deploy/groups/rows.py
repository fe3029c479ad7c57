"""Progress of every group of a namespace: position, lag and rate of each partition."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from optionstream.deploy.groups.lag import GroupOffsets, Member, Offsets, PartitionLag, group_lag
from optionstream.schemas import topics
from optionstream.schemas.topics import Namespace
from optionstream.streams.analytics.state import KafkaState

ANALYTICS = "analytics"


@dataclass(frozen=True, slots=True)
class GroupRow(PartitionLag):
    """One group on one partition.

    ``committed`` is the next record it reads; None when it has none yet. For analytics that is the
    position of its state, where it continues whatever was committed. ``rate`` is records per
    second between two looks; None at the first.
    """

    rate: float | None
    member: str | None


class GroupProgress(GroupOffsets):
    """Offsets of one namespace's groups, with the state's for analytics; ``close`` after use."""

    def __init__(
        self, kafka: str, namespace: Namespace, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(kafka, namespace)
        self._state = KafkaState(kafka, namespace)
        self._now_s = now_s
        self._before: dict[str, tuple[float, Sequence[PartitionLag]]] = {}

    def close(self) -> None:
        """Close the reader of the state topics."""
        self._state.close()

    def look(self) -> list[GroupRow]:
        """Return all partitions of all groups, in order; extra groups only once they started."""
        started = (group for group in topics.EXTRA_GROUPS if self.committed(group))
        return [row for group in (*topics.GROUPS, *started) for row in self._group(group)]

    def committed(self, group: str) -> Offsets:
        """Return the offsets where the group continues; for analytics the position of its state."""
        if group != ANALYTICS:
            return super().committed(group)
        return {
            (self._namespace.topic(topic), partition): at
            for (topic, partition), at in self._state.positions().items()
        }

    def _group(self, group: str) -> list[GroupRow]:
        now_s = self._now_s()
        lags = group_lag(self, group)
        earlier = self._before.get(group)
        self._before[group] = now_s, lags
        return with_rates(lags, earlier, now_s, self.owners(group))


def with_rates(
    lags: Sequence[PartitionLag],
    earlier: tuple[float, Sequence[PartitionLag]] | None,
    now_s: float,
    owners: Mapping[tuple[str, int], Member],
) -> list[GroupRow]:
    """Return the rows of one group; ``earlier`` has the time and the rows of the look before."""
    then_s, before = earlier or (now_s, ())
    old = {row.place: row for row in before}
    rows = []
    for row in lags:
        member = owners.get(row.place)
        rate = _rate(old.get(row.place), row, now_s - then_s)
        name = f"{member.name}{member.host}" if member else None
        rows.append(GroupRow(**asdict(row), rate=rate, member=name))
    return rows


def _rate(before: PartitionLag | None, now: PartitionLag, seconds: float) -> float | None:
    """Return records a second. Records read are counted as ends less lag, because the first
    position of a group may be unknown."""
    if before is None or seconds <= 0:
        return None
    read = (now.end - now.lag) - (before.end - before.lag)
    return round(read / seconds, 1)
