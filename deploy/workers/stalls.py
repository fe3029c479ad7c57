"""Detection of stalled groups: records wait, and the group's position does not move.

``StallWatch`` judges one group by the rows of each look; it knows no server. ``StallGuard``
looks at the groups of supervised workers and has a stalled worker killed and restarted. A kill
loses nothing: every worker continues from what is durable.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from confluent_kafka import KafkaException

from optionstream.deploy.groups.lag import GroupOffsets, PartitionLag, Place, group_lag
from optionstream.deploy.groups.rows import ANALYTICS
from optionstream.deploy.workers.supervisor import Supervisor, WorkerState, WorkerStatus
from optionstream.schemas.errors import OptionstreamError
from optionstream.schemas.topics import Namespace
from optionstream.streams.analytics.state import KafkaState
from optionstream.streams.engine.state_topic import StateReader

_ALONE = 5
"""A single partition that does not move while others do has stalled after so many times the
patience: a reader may leave one aside for a while."""
_LONGEST = 10
"""The patience doubles with each restart that did not help, at most to this multiple."""
_MOST_LOOK_S = 5.0
_START_S = 15.0
"""A new worker has this long to start before it is watched."""

Report = Callable[[str], None]


class StallWatch:
    """Remembers when the positions of one group moved last. Times are seconds of one clock."""

    def __init__(self, patience_s: float) -> None:
        self._first_s = patience_s
        self._patience_s = patience_s
        self._moved_s: dict[Place, float] = {}
        self._seen: dict[Place, PartitionLag] = {}

    def look(self, rows: Sequence[PartitionLag], now_s: float) -> PartitionLag | None:
        """Return the partition that waits longest if the group has stalled, else None."""
        waiting: list[PartitionLag] = []
        for row in rows:
            before = self._seen.get(row.place)
            if before is not None and before.committed != row.committed:
                self._patience_s = self._first_s  # it works
            if before is None or before.committed != row.committed or row.lag == 0:
                self._moved_s[row.place] = now_s
            self._seen[row.place] = row
            if row.lag:
                waiting.append(row)
        if not waiting:
            return None
        since = {row: self._moved_s[row.place] for row in waiting}
        worst = min(waiting, key=since.__getitem__)
        if now_s - max(since.values()) >= self._patience_s:
            return worst
        return worst if now_s - since[worst] >= self._patience_s * _ALONE else None

    def idle_s(self, row: PartitionLag, now_s: float) -> float:
        """Return the time since a partition moved last."""
        return now_s - self._moved_s[row.place]

    def forget(self) -> None:
        """Start again: the worker is a new one, or there was no look for a while."""
        self._moved_s, self._seen = {}, {}

    def extend_patience(self) -> None:
        """Start again with more patience, because a restart may not help."""
        self.forget()
        self._patience_s = min(self._patience_s * 2, self._first_s * _LONGEST)


@dataclass(slots=True)
class _Watched:
    """A worker's process, the time it was seen first, and the watch over its group."""

    watch: StallWatch
    pid: int | None = None
    since_s: float = 0.0


class StallGuard:
    """Watches the groups of a supervisor's workers in a thread; a context manager.

    ``patience_s`` 0 switches it off.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        kafka: str,
        namespace: Namespace,
        patience_s: float,
        report: Report,
    ) -> None:
        self._supervisor = supervisor
        self._kafka = kafka
        self._namespace = namespace
        self._patience_s = patience_s
        self._report = report
        self._watches: dict[str, _Watched] = {}
        self._ending = threading.Event()
        self._blind = False
        self._thread = threading.Thread(target=self._run, name="stalls", daemon=True)

    def __enter__(self) -> StallGuard:
        if self._patience_s > 0:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()

    def _run(self) -> None:
        offsets = GroupOffsets(self._kafka, self._namespace)
        while not self._ending.wait(min(_MOST_LOOK_S, self._patience_s / 4)):
            for status in self._supervisor.status():
                if status.state is not WorkerState.RUNNING:
                    continue
                try:
                    self._look_at(status, offsets)
                    self._blind = False
                except (OptionstreamError, KafkaException) as error:
                    self._report_blindness(error)

    def _look_at(self, status: WorkerStatus, offsets: GroupOffsets) -> None:
        watch = self._watch(status)
        if watch is None:
            return
        rows = group_lag(offsets, status.name)
        if any(row.lag for row in rows):
            others = {
                place
                for place, member in offsets.owners(status.name).items()
                if member.instance != "1"  # the supervised worker (see launch)
            }
            rows = [row for row in rows if row.place not in others]
        stalled = watch.look(rows, time.monotonic())
        if stalled is None:
            return
        if not self._is_real(stalled):
            watch.forget()
            return
        idle_s = watch.idle_s(stalled, time.monotonic())
        why = f"stalled: {stalled.describe()} and has not moved for {idle_s:.0f} s"
        self._supervisor.restart(status.name, status.pid, why)
        watch.extend_patience()

    def _watch(self, status: WorkerStatus) -> StallWatch | None:
        """Return the watch over this worker; None while it starts."""
        now_s = time.monotonic()
        watched = self._watches.setdefault(status.name, _Watched(StallWatch(self._patience_s)))
        if watched.pid != status.pid:
            watched.watch.forget()
            watched.pid, watched.since_s = status.pid, now_s
        return watched.watch if now_s - watched.since_s >= _START_S else None

    def _is_real(self, row: PartitionLag) -> bool:
        """Return True if there is a record to read, not only the end mark of a transaction.

        Analytics commits only now and then: it has not stalled while its state moves.
        """
        if row.group == ANALYTICS:
            with closing(KafkaState(self._kafka, self._namespace)) as state:
                base = self._namespace.base_topic(row.topic)
                at = state.positions().get((base, row.partition))
            if at is not None and at != row.committed:
                return False
        with closing(StateReader(self._kafka)) as reader:
            first = reader.record_at_or_after(row.topic, row.partition, row.committed or 0)
        return first is not None

    def _report_blindness(self, error: Exception) -> None:
        """Forget all, because without answers no group can be judged; report it once."""
        for watched in self._watches.values():
            watched.watch.forget()
        if not self._blind:
            self._report(f"cannot check consumer progress: {error}")
        self._blind = True
