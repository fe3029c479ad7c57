"""Consumer groups of a namespace: offsets, members, lag, and waiting until they catch up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import OffsetSpec

from optionstream.deploy.waiting import attempts
from optionstream.schemas import topics
from optionstream.schemas.connections import NO_LOG, consumer_options
from optionstream.schemas.errors import OptionstreamError
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import Namespace
from optionstream.streams.kafka.admin import admin_client, partition_counts, results
from optionstream.streams.kafka.answers import error_code, kafka_call

STALL_S = 60.0
"""A group that lags and does not move for this long counts as stalled."""

_SESSION_GRACE_S = 4.0
"""The broker checks only now and then whether a session has timed out."""

_LOOK_AGAIN_S = 0.2
_TIMEOUT_S = 30.0
_HAS_MEMBERS = (
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.REBALANCE_IN_PROGRESS,
)
"""The broker's answers to a commit from outside a group that has members."""

Place = tuple[str, int]
"""A topic's full name and a partition."""
Offsets = dict[Place, int]


class StalledError(OptionstreamError):
    """A consumer group has stopped; the text names the partition and the log to read."""


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """The position of one group on one partition."""

    group: str
    """The group without its namespace: ``analytics``, ``latest`` …"""
    topic: str
    partition: int
    committed: int | None
    end: int
    lag: int
    """Records that exist and are not committed yet."""

    @property
    def place(self) -> Place:
        """Its topic (full name) and partition."""
        return self.topic, self.partition

    def describe(self) -> str:
        """Return ``it committed offset 4 of 9 on market.underlying partition 3``."""
        at = "nothing" if self.committed is None else f"offset {self.committed}"
        return f"it committed {at} of {self.end} on {self.topic} partition {self.partition}"


class GroupAtWork(OptionstreamError):
    """The broker refuses to set the offsets of a group that has members."""


@dataclass(frozen=True, slots=True)
class Member:
    """A worker in its group: its static name (``…analytics-1``), and ``/address``."""

    name: str
    host: str

    @property
    def instance(self) -> str:
        """The value of the worker's option ``--instance``."""
        return self.name.rpartition("-")[2]


class OffsetSource(Protocol):
    """A source of offsets: ``GroupOffsets``, or a fake in tests."""

    def ends(self, names: Sequence[str]) -> Offsets:
        """Return the end offsets of topics, which are named without the namespace."""

    def beginnings(self, names: Sequence[str]) -> Offsets:
        """Return the first offsets that still exist."""

    def committed(self, group: str) -> Offsets:
        """Return the offsets that the group has committed."""


class GroupOffsets:
    """Offsets and members of one namespace's groups, requested from the broker at each call.

    Topics and groups are named without the namespace in arguments, in full in results. Every
    method raises ServerUnavailable.
    """

    def __init__(self, kafka: str, namespace: Namespace) -> None:
        self._admin = admin_client(kafka)
        self._namespace = namespace
        self._kafka = kafka
        self._consumers: dict[str, Consumer] = {}

    def ends(self, names: Sequence[str]) -> Offsets:
        """Return the end offset of every partition of the topics."""
        return self._offsets(names, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    def beginnings(self, names: Sequence[str]) -> Offsets:
        """Return the first offset that still exists in every partition of the topics."""
        return self._offsets(names, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    def committed(self, group: str) -> Offsets:
        """Return the offsets that the group has committed; partitions without one are missing."""
        asked = self._partitions(topics.GROUP_TOPICS[group])
        found = kafka_call(lambda: self._consumer(group).committed(asked, timeout=_TIMEOUT_S))
        return {(at.topic, at.partition): at.offset for at in found if at.offset >= 0}

    def offsets_at(self, names: Sequence[str], ts_ms: int) -> Offsets:
        """Return the offsets of the first records stamped ``ts_ms`` (epoch ms) or later; the end
        of a partition that has none."""
        found = self._offsets(names, OffsetSpec.for_timestamp(ts_ms))
        ends = self.ends(names)
        return {place: at if at >= 0 else ends[place] for place, at in found.items()}

    def topic_ids(self, names: Sequence[str]) -> dict[str, str]:
        """Return the broker's ids of the topics, by full name."""
        asked = TopicCollection([self._namespace.topic(name) for name in names])
        described = kafka_call(lambda: results(self._admin.describe_topics(asked)))
        return {name: str(found.topic_id) for name, found in described.items()}

    def set_committed(self, group: str, offsets: Offsets, ids: Mapping[str, str]) -> None:
        """Commit ``offsets`` for a group; ``ids`` are those of ``topic_ids``.

        Raises GroupAtWork while the group has members.
        """
        rows = [TopicPartition(*place, at, ids[place[0]]) for place, at in offsets.items()]
        if not rows:
            return

        def commit() -> None:
            try:
                self._consumer(group).commit(offsets=rows, asynchronous=False)
            except KafkaException as error:
                if error_code(error) in _HAS_MEMBERS:
                    raise GroupAtWork(f"group {group} has members") from None
                raise

        kafka_call(commit)

    def _consumer(self, group: str) -> Consumer:
        """Return a consumer that never joins the group. (The admin client's
        ``list_consumer_group_offsets`` ends the process when the group's coordinator has just
        moved, in librdkafka 2.16.)"""
        if group not in self._consumers:
            self._consumers[group] = Consumer(
                consumer_options(self._kafka, self._namespace.group(group), NO_LOG)
            )
        return self._consumers[group]

    def members(self, group: str) -> list[str]:
        """Return client id and host of each member; none for a group that does not exist."""
        return [f"{m.client_id}{m.host}" for m in self._described(group)]

    def owners(self, group: str) -> dict[Place, Member]:
        """Return the member that reads each partition."""
        return {
            (at.topic, at.partition): Member(m.group_instance_id or m.client_id, m.host)
            for m in self._described(group)
            for at in (m.assignment.topic_partitions if m.assignment else ())
        }

    def await_departure(
        self,
        groups: Sequence[str],
        settings: Settings,
        report: Callable[[str], None] = lambda text: None,
    ) -> dict[str, list[str]]:
        """Wait until the groups have no members; return those that still have, with them.

        A worker that was stopped stays a (static) member until its session times out. The wait
        is as long as that; a line to ``report`` announces it.
        """
        patience_s = settings.session_timeout_ms / 1000 + _SESSION_GRACE_S
        occupied: dict[str, list[str]] = {}
        reported = False
        for _ in attempts(patience_s, _LOOK_AGAIN_S):
            occupied = {group: found for group in groups if (found := self.members(group))}
            if not occupied:
                break
            if not reported:
                reported = True
                report(f"waiting up to {patience_s:.0f} s for sessions of stopped workers to end")
        return occupied

    def _described(self, group: str) -> list[Any]:
        """Return the broker's descriptions of the members."""

        def describe() -> dict[str, Any]:
            try:
                return results(self._admin.describe_consumer_groups([self._namespace.group(group)]))
            except KafkaException as error:
                if error_code(error) == KafkaError.GROUP_ID_NOT_FOUND:
                    return {}
                raise

        return [member for found in kafka_call(describe).values() for member in found.members]

    def _offsets(self, names: Sequence[str], spec: OffsetSpec) -> Offsets:
        asked = dict.fromkeys(self._partitions(names), spec)
        if not asked:
            return {}
        answers = kafka_call(lambda: results(self._admin.list_offsets(asked)))
        return {(place.topic, place.partition): found.offset for place, found in answers.items()}

    def _partitions(self, names: Sequence[str]) -> list[TopicPartition]:
        """Return all partitions that exist of these topics."""
        counts = partition_counts(self._admin)
        return [
            TopicPartition(topic, partition)
            for topic in map(self._namespace.topic, names)
            for partition in range(counts.get(topic, 0))
        ]


def group_lag(source: OffsetSource, group: str, ends: Offsets | None = None) -> list[PartitionLag]:
    """Return the group's lag by partition, up to ``ends`` (default: the ends of now).

    A partition without records counts as read, whether or not an offset was committed.
    """
    names = topics.GROUP_TOPICS[group]
    ends = source.ends(names) if ends is None else ends
    committed = source.committed(group)
    unread = [place for place in ends if place not in committed]
    beginnings = source.beginnings(names) if unread else {}
    rows = []
    for place, end in sorted(ends.items()):
        at = committed.get(place)
        start = beginnings.get(place, 0) if at is None else at
        rows.append(PartitionLag(group, *place, at, end, max(0, end - start)))
    return rows


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits and clock of a wait; tests pass a clock of their own."""

    stall_s: float = STALL_S
    look_again_s: float = _LOOK_AGAIN_S
    now_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


LagCallback = Callable[[str, int], None]
"""Called at every look with a group and the number of records it has yet to read."""


def wait_until_caught_up(
    source: OffsetSource,
    *,
    on_lag: LagCallback = lambda group, lag: None,
    check_workers: Callable[[], None] = lambda: None,
    logs: Mapping[str, str] | None = None,
    patience: Patience | None = None,
) -> None:
    """Wait until analytics has read all input there is, and the sinks all that followed from it.

    Publishing must be over. Analytics sends its output before it commits, so the ends for the
    sinks are taken after it has caught up. ``check_workers`` raises when a worker was given up.
    Raises StalledError, with the group, the partition and its log from ``logs``, when a group
    does not move for ``patience.stall_s``.
    """
    patience = patience or Patience()
    sinks = tuple(group for group in topics.GROUPS if group != "analytics")
    for groups in (("analytics",), sinks):
        ends = {group: source.ends(topics.GROUP_TOPICS[group]) for group in groups}
        watches = [_Watch(group, (logs or {}).get(group), patience) for group in groups]
        while watches := [w for w in watches if w.is_lagging(source, ends[w.group], on_lag)]:
            check_workers()
            patience.sleep(patience.look_again_s)


class _Watch:
    """Checks that one group still moves."""

    def __init__(self, group: str, log: str | None, patience: Patience) -> None:
        self.group = group
        self._log = log
        self._patience = patience
        self._lowest: int | None = None
        self._moved_s = patience.now_s()

    def is_lagging(self, source: OffsetSource, ends: Offsets, on_lag: LagCallback) -> bool:
        """Return True while records up to ``ends`` are unread; raise StalledError if it stops."""
        rows = group_lag(source, self.group, ends)
        left = sum(row.lag for row in rows)
        on_lag(self.group, left)
        if left == 0:
            return False
        if self._lowest is None or left < self._lowest:
            self._lowest, self._moved_s = left, self._patience.now_s()
        elif self._patience.now_s() - self._moved_s > self._patience.stall_s:
            worst = max(rows, key=lambda row: row.lag)
            log = f"; see {self._log}" if self._log else ""
            raise StalledError(
                f"group {self.group} has not moved for {self._patience.stall_s:.0f} s: "
                f"{worst.describe()}{log}"
            )
        return True
