"""How far every group of a namespace is, partition by partition, and how fast."""

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
    position of its state, from which it goes on whatever was committed. ``rate`` is records per
    second between two looks; None at the first.
    """

    rate: float | None
    member: str | None


class GroupProgress:
    """Looks at the groups of one namespace again and again; ``close`` after use."""

    def __init__(
        self, kafka: str, namespace: Namespace, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._namespace = namespace
        self._offsets = GroupOffsets(kafka, namespace)
        self._state = KafkaState(kafka, namespace)
        self._now_s = now_s
        self._before: dict[str, tuple[float, Sequence[PartitionLag]]] = {}

    def close(self) -> None:
        self._state.close()

    def look(self) -> list[GroupRow]:
        """All partitions of all groups, in order; of the extra ones those that have begun."""
        begun = (group for group in topics.EXTRA_GROUPS if self._offsets.committed(group))
        return [row for group in (*topics.GROUPS, *begun) for row in self._group(group)]

    def ends(self, names: Sequence[str]) -> Offsets:
        return self._offsets.ends(names)

    def beginnings(self, names: Sequence[str]) -> Offsets:
        return self._offsets.beginnings(names)

    def committed(self, group: str) -> Offsets:
        """Where the group goes on: of analytics the position of its state."""
        if group != ANALYTICS:
            return self._offsets.committed(group)
        return {
            (self._namespace.topic(topic), partition): at
            for (topic, partition), at in self._state.positions().items()
        }

    def _group(self, group: str) -> list[GroupRow]:
        now_s = self._now_s()
        lags = group_lag(self, group)
        earlier = self._before.get(group)
        self._before[group] = now_s, lags
        return with_rates(lags, earlier, now_s, self._offsets.owners(group))


def with_rates(
    lags: Sequence[PartitionLag],
    earlier: tuple[float, Sequence[PartitionLag]] | None,
    now_s: float,
    owners: Mapping[tuple[str, int], Member],
) -> list[GroupRow]:
    """Rows of one group; ``earlier`` is when it was looked at before and what was seen then."""
    then_s, before = earlier or (now_s, ())
    old = {(row.topic, row.partition): row for row in before}
    rows = []
    for row in lags:
        place = row.topic, row.partition
        member = owners.get(place)
        rate = _rate(old.get(place), row, now_s - then_s)
        rows.append(
            GroupRow(
                **asdict(row), rate=rate, member=f"{member.name}{member.host}" if member else None
            )
        )
    return rows


def _rate(before: PartitionLag | None, now: PartitionLag, seconds: float) -> float | None:
    """Records a second. What was read is what the lag did not grow by: the first position of a
    group may be unknown."""
    if before is None or seconds <= 0:
        return None
    read = (now.end - now.lag) - (before.end - before.lag)
    return round(read / seconds, 1)
