"""Setting where a group goes on: its positions, and with them what it has made of later records.

Each group begins a new generation of its own kind. ``analytics``: an empty state at that position
(streams.analytics.state). ``history``: the stored ticks from there on count no more and are read
again (streams.sinks.history.tick_generations); derived values keep their ids, a repeat is a no-op.
``latest``: values of that time and later are forgotten (streams.sinks.latest.forgetting), and its
positions in Redis set (streams.sinks.latest.positions). The group's offsets are set first: the
broker refuses that while a member is there, and then nothing was changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import redis as redis_client

from optionstream.deploy.groups.lag import GroupAtWork, GroupOffsets, Offsets
from optionstream.deploy.groups.rows import ANALYTICS, GroupProgress
from optionstream.deploy.mongo import mongo_client
from optionstream.deploy.stack import Addresses
from optionstream.deploy.stack.processes import PidFile
from optionstream.schemas import redis_keys, topics
from optionstream.schemas.connections import redis_options
from optionstream.schemas.errors import ServerUnavailable, UsageError
from optionstream.schemas.settings import Settings
from optionstream.schemas.times import rfc3339
from optionstream.schemas.topics import Namespace
from optionstream.streams.analytics.state import begin_anew
from optionstream.streams.sinks.history.collections import database, ensure_collections
from optionstream.streams.sinks.history.tick_generations import (
    partitions_of_other_topics,
    reset_ticks,
)
from optionstream.streams.sinks.latest.forgetting import forget_since, values_since
from optionstream.streams.sinks.latest.positions import forget_positions, set_positions

EARLIEST = "earliest"
LATEST = "latest"
HISTORY = "history"
RESETTABLE = (ANALYTICS, "latest", HISTORY)

_SESSION_GRACE_S = 4.0
_LOOK_AGAIN_S = 0.3

Tell = Callable[[str], None]
T = TypeVar("T")


class MembersRun(UsageError):
    """The group has members; the text says who and what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to: ``earliest``, ``latest``, the first record of ``time_ms`` (epoch ms, by receipt)
    or later, or an ``offset`` in every partition. Exactly one is given."""

    end: str | None = None
    time_ms: int | None = None
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class ResetRow:
    """One partition; ``before`` is None for a group that has not begun."""

    group: str
    topic: str
    partition: int
    before: int | None
    to: int
    end: int
    skipped: int
    """Records that are there, unread, and never will be."""


@dataclass(frozen=True, slots=True)
class ResetPlan:
    """What a reset does. ``forgotten`` counts values in Redis; None where none are."""

    group: str
    rows: list[ResetRow]
    since_ms: int | None = None
    """From this event time on Redis forgets."""
    forgotten: int | None = None


class GroupReset:
    """Plans and makes resets of one namespace's groups."""

    def __init__(self, addresses: Addresses, namespace: Namespace, settings: Settings) -> None:
        self._addresses = addresses
        self._namespace = namespace
        self._settings = settings
        self._offsets = GroupOffsets(addresses.kafka, namespace)

    def plan(
        self, group: str, target: Target, topic: str | None = None, partition: int | None = None
    ) -> ResetPlan:
        """What ``make`` would do; ``topic`` (without the namespace) and ``partition`` narrow it.
        Changes nothing. Raises UsageError for what the group does not read."""
        names = _names(group, topic)
        goal = {
            place: at
            for place, at in self._goal(names, target).items()
            if partition is None or place[1] == partition
        }
        if not goal:
            which = f"partition {partition} of {' or '.join(names)}"
            raise UsageError(f"namespace {self._namespace.name} has no {which}")
        before, ends = self._before(group), self._offsets.ends(names)
        first = self._offsets.beginnings(names)
        rows = [
            ResetRow(
                group,
                *place,
                before.get(place),
                at,
                ends[place],
                max(0, at - max(first[place], before.get(place, 0))),
            )
            for place, at in sorted(goal.items())
        ]
        narrowed = topic is not None or partition is not None
        since_ms = None if group != "latest" or narrowed else _since(target)
        if since_ms is None:
            return ResetPlan(group, rows)
        with _redis(self._addresses) as client:
            found = _asking_redis(lambda: values_since(client, self._namespace, since_ms))
        return ResetPlan(group, rows, since_ms, len(found))

    def refuse_members(self, group: str, tell: Tell) -> None:
        """Raises MembersRun while somebody works in the group. A worker that was stopped stays a
        (static) member until its session times out: that is waited for."""
        pid_file = PidFile(self._settings.worker_folder(self._namespace.name) / f"{group}.pid")
        if (process := pid_file.read()) is not None:
            raise self._members_run(group, f"pid {process.pid}")
        patience_s = self._settings.session_timeout_ms / 1000 + _SESSION_GRACE_S
        deadline_s, told = time.monotonic() + patience_s, False
        while members := self._offsets.members(group):
            if time.monotonic() > deadline_s:
                raise self._members_run(group, ", ".join(members))
            if not told:
                tell(f"waiting up to {patience_s:.0f} s for the sessions of stopped workers to end")
                told = True
            time.sleep(_LOOK_AGAIN_S)

    def is_at_work(self, group: str) -> bool:
        """Whether the group has members now, those just stopped included."""
        return bool(self._offsets.members(group))

    def make(self, plan: ResetPlan, tell: Tell, *, forget_former: bool = False) -> None:
        """Carry a plan out; may be repeated, also after it was interrupted. ``forget_former``:
        of ``history``, ticks of a topic that was deleted and made anew count no more. Raises
        MembersRun."""
        self.refuse_members(plan.group, tell)
        names = topics.GROUP_TOPICS[plan.group]
        ids = self._offsets.topic_ids(names)
        goal: Offsets = {(row.topic, row.partition): row.to for row in plan.rows}
        try:
            self._offsets.set_committed(plan.group, goal, ids)
        except GroupAtWork:
            raise self._members_run(plan.group, "one joined just now") from None
        if plan.group == ANALYTICS:
            starts = {(self._namespace.base_topic(t), n): at for (t, n), at in goal.items()}
            begin_anew(self._addresses.kafka, self._namespace, starts)
        elif plan.group == HISTORY:
            self._reset_history(goal, ids, forget_former)
        else:
            _asking_redis(lambda: self._reset_latest(goal, ids, plan.since_ms))

    def _reset_latest(self, goal: Offsets, ids: dict[str, str], since_ms: int | None) -> None:
        """Positions go first: interrupted in between, what was forgotten is read again."""
        key = self._namespace.redis(redis_keys.POSITIONS)
        with _redis(self._addresses) as client:
            if since_ms is not None:
                forget_positions(client, key, list(goal))
                forget_since(client, self._namespace, since_ms)
            set_positions(client, key, goal, ids)

    def _reset_history(self, goal: Offsets, ids: dict[str, str], forget_former: bool) -> None:
        ticks = self._namespace.topic(topics.UNDERLYING)
        with mongo_client(self._addresses.mongo) as client:
            db = database(client, self._namespace)
            ensure_collections(db)
            for (topic, partition), at in goal.items():
                if topic == ticks:
                    reset_ticks(db, ids[topic], partition, at)
            if forget_former:
                for topic_id, partition in partitions_of_other_topics(db, ids[ticks]):
                    reset_ticks(db, topic_id, partition, 0)

    def _goal(self, names: Sequence[str], target: Target) -> Offsets:
        if target.time_ms is not None:
            return self._offsets.offsets_at(names, target.time_ms)
        ends = self._offsets.ends(names)
        if target.end == LATEST:
            return ends
        beginnings = self._offsets.beginnings(names)
        if target.offset is None:
            return beginnings
        wanted = target.offset
        return {place: min(end, max(beginnings[place], wanted)) for place, end in ends.items()}

    def _before(self, group: str) -> Offsets:
        progress = GroupProgress(self._addresses.kafka, self._namespace)
        try:
            return progress.committed(group)
        finally:
            progress.close()

    def _members_run(self, group: str, who: str) -> MembersRun:
        name = self._namespace.name
        return MembersRun(
            f"group {group} of namespace {name} has members ({who}): stop its workers first, "
            f"supervised ones with `optionstream down --workers`"
        )


def consequences(plan: ResetPlan, target: Target) -> list[str]:
    """What follows from a reset, a line each, for the person who asks for it."""
    skipped = sum(row.skipped for row in plan.rows)
    said = []
    if plan.group == ANALYTICS:
        said.append(_about_state(target))
    elif plan.group == HISTORY:
        said.append(
            "stored ticks of the records from there on count no more and are read again; bars, "
            "chains, gaps and rejects keep their ids: what is there stays"
        )
    elif plan.since_ms is not None:
        since = "all values" if plan.since_ms == 0 else f"values of {rfc3339(plan.since_ms)} on"
        said.append(
            f"Redis forgets {since} ({plan.forgotten or 0} now) until they are read again; the API "
            "answers from MongoDB meanwhile"
        )
    else:
        said.append("Redis keeps its values: newer wins")
    if skipped:
        said.append(f"{skipped} records that the group has not read are skipped for good")
    return said


def _about_state(target: Target) -> str:
    text = "analytics begins with an empty state"
    if target.end == EARLIEST:
        return f"{text} at the first record there is and computes everything anew"
    return (
        f"{text} there: windows, day bars and changes of open interest of the session under way "
        "lack what came before, a silence since the open is told as a gap; its counts begin at 0"
    )


def _names(group: str, topic: str | None) -> tuple[str, ...]:
    if group not in RESETTABLE:
        raise UsageError(f"group {group} cannot be reset: use {', '.join(RESETTABLE)}")
    names = topics.GROUP_TOPICS[group]
    if topic is None:
        return names
    if topic not in names:
        raise UsageError(f"group {group} does not read {topic!r}: it reads {', '.join(names)}")
    return (topic,)


def _since(target: Target) -> int | None:
    """From which event time on the values of Redis come again."""
    return 0 if target.end == EARLIEST else target.time_ms


def _redis(addresses: Addresses) -> redis_client.Redis:
    return redis_client.Redis.from_url(**redis_options(addresses.redis))


def _asking_redis(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except redis_client.RedisError as error:
        raise ServerUnavailable(f"redis: {error}") from None
