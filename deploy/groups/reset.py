"""Resets of consumer groups: their positions, and with them what they made of later records.

Each group starts a new generation of its own kind:

``analytics``  an empty state at that position (streams.analytics.state)
``history``    stored ticks from there on no longer count and are read again
               (streams.sinks.history.tick_generations); derived values keep their ids, so that
               a repeat is a no-op
``latest``     values of that time and later are forgotten (streams.sinks.latest.forgetting), and
               its positions in Redis set (streams.sinks.latest.positions)

The group's offsets are set first: the broker refuses that while a member is there, and then
nothing was changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from optionstream.deploy.clients import mongo_client, redis_client
from optionstream.deploy.groups.lag import GroupAtWork, GroupOffsets, Offsets
from optionstream.deploy.groups.rows import ANALYTICS, GroupProgress
from optionstream.deploy.stack import Addresses
from optionstream.deploy.stack.processes import PidFile
from optionstream.schemas import redis_keys, topics
from optionstream.schemas.errors import UsageError
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

Report = Callable[[str], None]


class MembersRun(UsageError):
    """The group has members; the text names them and what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """The goal of a reset; exactly one field is given.

    ``end`` is ``earliest`` or ``latest``; ``time_ms`` (epoch ms, by receipt) means the first
    record of that time or later; ``offset`` holds for every partition.
    """

    end: str | None = None
    time_ms: int | None = None
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class ResetRow:
    """One partition of a reset; ``before`` is None for a group that has not started."""

    group: str
    topic: str
    partition: int
    before: int | None
    to: int
    end: int
    skipped: int
    """Records that exist, are unread, and will never be read."""


@dataclass(frozen=True, slots=True)
class ResetPlan:
    """The changes of a reset. ``forgotten`` counts values in Redis; None if it forgets none."""

    group: str
    rows: list[ResetRow]
    since_ms: int | None = None
    """Redis forgets values from this event time on (epoch ms)."""
    forgotten: int | None = None


class GroupReset:
    """Plans and carries out resets of one namespace's groups."""

    def __init__(self, addresses: Addresses, namespace: Namespace, settings: Settings) -> None:
        self._addresses = addresses
        self._namespace = namespace
        self._settings = settings
        self._offsets = GroupOffsets(addresses.kafka, namespace)

    def plan(
        self, group: str, target: Target, topic: str | None = None, partition: int | None = None
    ) -> ResetPlan:
        """Return what ``apply`` would do; changes nothing.

        ``topic`` (without the namespace) and ``partition`` narrow it. Raises UsageError for what
        the group does not read.
        """
        names = _topics_of(group, topic)
        goal = {
            place: at
            for place, at in self._goal(names, target).items()
            if partition is None or place[1] == partition
        }
        if not goal:
            which = f"partition {partition} of {' or '.join(names)}"
            raise UsageError(f"namespace {self._namespace.name} has no {which}")
        with closing(GroupProgress(self._addresses.kafka, self._namespace)) as progress:
            before = progress.committed(group)
        ends = self._offsets.ends(names)
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
        since_ms = 0 if target.end == EARLIEST else target.time_ms
        if since_ms is None or group != "latest" or narrowed:
            return ResetPlan(group, rows)
        with redis_client(self._addresses.redis) as client:
            found = values_since(client, self._namespace, since_ms)
        return ResetPlan(group, rows, since_ms, len(found))

    def refuse_members(self, group: str, report: Report) -> None:
        """Raise MembersRun if the group has members, after their sessions had time to end."""
        pid_file = PidFile(self._settings.worker_folder(self._namespace.name) / f"{group}.pid")
        if (process := pid_file.read()) is not None:
            raise self._members_run(group, f"pid {process.pid}")
        members = self._offsets.await_departure([group], self._settings, report)
        if members:
            raise self._members_run(group, ", ".join(members[group]))

    def is_at_work(self, group: str) -> bool:
        """Return True if the group has members now, just stopped ones included."""
        return bool(self._offsets.members(group))

    def apply(self, plan: ResetPlan, report: Report, *, forget_former: bool = False) -> None:
        """Carry out a plan; may be repeated, also after it was interrupted.

        ``forget_former`` is for ``history``: ticks of a topic that was deleted and created again
        no longer count. Raises MembersRun.
        """
        self.refuse_members(plan.group, report)
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
            self._reset_latest(goal, ids, plan.since_ms)

    def _reset_latest(self, goal: Offsets, ids: dict[str, str], since_ms: int | None) -> None:
        """Positions go first, so that after an interruption the forgotten values are read again."""
        key = self._namespace.redis(redis_keys.POSITIONS)
        with redis_client(self._addresses.redis) as client:
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

    def _members_run(self, group: str, who: str) -> MembersRun:
        name = self._namespace.name
        return MembersRun(
            f"group {group} of namespace {name} has members ({who}): stop its workers first, "
            f"supervised ones with `optionstream down --workers`"
        )


def consequences(plan: ResetPlan, target: Target) -> list[str]:
    """Return the consequences of a reset, one line each, for the person who asks for it."""
    skipped = sum(row.skipped for row in plan.rows)
    lines = []
    if plan.group == ANALYTICS:
        lines.append(_describe_state(target))
    elif plan.group == HISTORY:
        lines.append(
            "stored ticks of the records from there on no longer count and are read again; bars, "
            "chains, gaps and rejects keep their ids and stay"
        )
    elif plan.since_ms is not None:
        since = "all values" if plan.since_ms == 0 else f"values of {rfc3339(plan.since_ms)} on"
        lines.append(
            f"Redis forgets {since} ({plan.forgotten or 0} now) until they are read again; the API "
            "answers from MongoDB meanwhile"
        )
    else:
        lines.append("Redis keeps its values: newer wins")
    if skipped:
        lines.append(f"{skipped} records that the group has not read are skipped for good")
    return lines


def _describe_state(target: Target) -> str:
    text = "analytics starts with an empty state"
    if target.end == EARLIEST:
        return f"{text} at the first record that exists and computes everything again"
    return (
        f"{text} there: windows, day bars and changes of open interest of the current session "
        "lack what came before; a silence since the open is reported as a gap; its counts start "
        "at 0"
    )


def _topics_of(group: str, topic: str | None) -> tuple[str, ...]:
    if group not in RESETTABLE:
        raise UsageError(f"group {group} cannot be reset: use {', '.join(RESETTABLE)}")
    names = topics.GROUP_TOPICS[group]
    if topic is None:
        return names
    if topic not in names:
        raise UsageError(f"group {group} does not read {topic!r}: it reads {', '.join(names)}")
    return (topic,)
