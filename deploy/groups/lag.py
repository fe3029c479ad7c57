"""Consumer groups of a namespace: members, lag, and waiting until they have read everything."""

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

from optionstream.schemas import topics
from optionstream.schemas.errors import OptionstreamError
from optionstream.schemas.topics import Namespace
from optionstream.streams.kafka.admin import admin_client, partition_counts, results
from optionstream.streams.kafka.answers import error_code, kafka_call

STALL_S = 60.0
"""A group whose offsets do not move for this long while it lags has stopped."""

_LOOK_AGAIN_S = 0.2
_TIMEOUT_S = 30.0
_HAS_MEMBERS = (
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.REBALANCE_IN_PROGRESS,
)
"""How a broker answers a commit from outside a group that has members."""

Place = tuple[str, int]
"""A topic's full name and a partition."""
Offsets = dict[Place, int]


class StalledError(OptionstreamError):
    """A consumer group does not get on; the text says where and which log to read."""


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """How far one group is on one partition."""

    group: str
    """The part the group plays: ``analytics``, ``latest`` …"""
    topic: str
    partition: int
    committed: int | None
    end: int
    lag: int
    """Records that are there and not committed yet."""


class GroupAtWork(OptionstreamError):
    """The broker does not let the offsets of a group be set while it has members."""


@dataclass(frozen=True, slots=True)
class Member:
    """A worker in its group: its static name (``…analytics-1``), and ``/address``."""

    name: str
    host: str

    @property
    def instance(self) -> str:
        """What ``worker --instance`` was given."""
        return self.name.rpartition("-")[2]


class OffsetSource(Protocol):
    """Where offsets come from: ``GroupOffsets``, or a fake in tests."""

    def ends(self, names: Sequence[str]) -> Offsets:
        """End offsets of the topics that play these parts."""

    def beginnings(self, names: Sequence[str]) -> Offsets:
        """First offsets still there."""

    def committed(self, group: str) -> Offsets:
        """What the group that plays this part has committed."""


class GroupOffsets:
    """Offsets and members of one namespace's groups, asked from the broker each time."""

    def __init__(self, kafka: str, namespace: Namespace) -> None:
        self._admin = admin_client(kafka)
        self._namespace = namespace
        self._kafka = kafka
        self._consumers: dict[str, Consumer] = {}

    def ends(self, names: Sequence[str]) -> Offsets:
        return self._offsets(names, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    def beginnings(self, names: Sequence[str]) -> Offsets:
        return self._offsets(names, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    def committed(self, group: str) -> Offsets:
        counts = partition_counts(self._admin)
        asked = [
            TopicPartition(topic, partition)
            for topic in map(self._namespace.topic, topics.GROUP_TOPICS[group])
            for partition in range(counts.get(topic, 0))
        ]
        found = kafka_call(lambda: self._consumer(group).committed(asked, timeout=_TIMEOUT_S))
        return {(at.topic, at.partition): at.offset for at in found if at.offset >= 0}

    def offsets_at(self, names: Sequence[str], ts_ms: int) -> Offsets:
        """The first offset whose record is of ``ts_ms`` (epoch ms) or later; the end where there
        is none."""
        found = self._offsets(names, OffsetSpec.for_timestamp(ts_ms))
        ends = self.ends(names)
        return {place: at if at >= 0 else ends[place] for place, at in found.items()}

    def topic_ids(self, names: Sequence[str]) -> dict[str, str]:
        """The broker's id of each topic that plays one of these parts, by full name."""
        asked = TopicCollection([self._namespace.topic(name) for name in names])
        described = kafka_call(lambda: results(self._admin.describe_topics(asked)))
        return {name: str(found.topic_id) for name, found in described.items()}

    def set_committed(self, group: str, offsets: Offsets, ids: Mapping[str, str]) -> None:
        """Commit for a group, with the topics' ``ids``. The broker refuses (GroupAtWork) while
        the group has members."""
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
        """A consumer that never joins: the admin client's ``list_consumer_group_offsets`` ends the
        process when the group's coordinator has just moved (librdkafka 2.16)."""
        if group not in self._consumers:
            self._consumers[group] = Consumer(
                {
                    "bootstrap.servers": self._kafka,
                    "group.id": self._namespace.group(group),
                    "enable.auto.commit": False,
                    "log_level": 0,
                }
            )
        return self._consumers[group]

    def members(self, group: str) -> list[str]:
        """Who is in the group: client id and host of each member; empty for no group."""
        return [f"{m.client_id}{m.host}" for m in self._described(group)]

    def owners(self, group: str) -> dict[Place, Member]:
        """Which member of the group reads which partition."""
        return {
            (at.topic, at.partition): Member(m.group_instance_id or m.client_id, m.host)
            for m in self._described(group)
            for at in (m.assignment.topic_partitions if m.assignment else ())
        }

    def _described(self, group: str) -> list[Any]:
        asked = [self._namespace.group(group)]
        answers = _known(lambda: results(self._admin.describe_consumer_groups(asked)))
        return [member for found in answers.values() for member in found.members]

    def _offsets(self, names: Sequence[str], spec: OffsetSpec) -> Offsets:
        counts = partition_counts(self._admin)
        asked = {
            TopicPartition(topic, partition): spec
            for topic in map(self._namespace.topic, names)
            for partition in range(counts.get(topic, 0))
        }
        if not asked:
            return {}
        answers = kafka_call(lambda: results(self._admin.list_offsets(asked)))
        return {(place.topic, place.partition): found.offset for place, found in answers.items()}


def _known(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The answers about groups; none for a group that nobody made yet."""

    def asked() -> dict[str, Any]:
        try:
            return ask()
        except KafkaException as error:
            if error_code(error) == KafkaError.GROUP_ID_NOT_FOUND:
                return {}
            raise

    return kafka_call(asked)


def group_lag(source: OffsetSource, group: str, ends: Offsets | None = None) -> list[PartitionLag]:
    """The group's lag by partition, up to ``ends`` (default: up to what is there now).

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
    """How the waiting is done; tests hand in a clock of their own."""

    stall_s: float = STALL_S
    look_again_s: float = _LOOK_AGAIN_S
    now_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


LagCallback = Callable[[str, int], None]
"""Called with a group and the records it has yet to read, at every look."""


def wait_until_caught_up(
    source: OffsetSource,
    *,
    on_lag: LagCallback = lambda group, lag: None,
    check_workers: Callable[[], None] = lambda: None,
    logs: Mapping[str, str] | None = None,
    patience: Patience | None = None,
) -> None:
    """Until analytics has read all input that is there now, and the sinks all that came of it.

    Publishing must be over. Analytics sends its output before it commits, so the ends that the
    sinks have to reach are taken after it has arrived. ``check_workers`` raises when a worker
    has ended for good. Raises StalledError, naming the group, the partition and its ``logs``
    entry, when a group does not move for ``patience.stall_s``.
    """
    patience = patience or Patience()
    sinks = tuple(group for group in topics.GROUPS if group != "analytics")
    for groups in (("analytics",), sinks):
        ends = {group: source.ends(topics.GROUP_TOPICS[group]) for group in groups}
        watches = [_Watch(group, (logs or {}).get(group), patience) for group in groups]
        while watches := [w for w in watches if w.lagging(source, ends[w.group], on_lag)]:
            check_workers()
            patience.sleep(patience.look_again_s)


class _Watch:
    """Looks whether one group still moves."""

    def __init__(self, group: str, log: str | None, patience: Patience) -> None:
        self.group = group
        self._log = log
        self._patience = patience
        self._least: int | None = None
        self._moved_s = patience.now_s()

    def lagging(self, source: OffsetSource, ends: Offsets, on_lag: LagCallback) -> bool:
        rows = group_lag(source, self.group, ends)
        left = sum(row.lag for row in rows)
        on_lag(self.group, left)
        if left == 0:
            return False
        if self._least is None or left < self._least:
            self._least, self._moved_s = left, self._patience.now_s()
        elif self._patience.now_s() - self._moved_s > self._patience.stall_s:
            raise StalledError(self._complaint(rows))
        return True

    def _complaint(self, rows: list[PartitionLag]) -> str:
        worst = max(rows, key=lambda row: row.lag)
        at = "nothing" if worst.committed is None else f"offset {worst.committed}"
        log = f"; see {self._log}" if self._log else ""
        return (
            f"group {self.group} has not moved for {self._patience.stall_s:.0f} s: it committed "
            f"{at} of {worst.end} on {worst.topic} partition {worst.partition}{log}"
        )
