"""Noticing a group that has stalled: records wait, and its position does not move.

``StallWatch`` judges one group from what is seen at each look; it knows no server. ``StallGuard``
looks at the groups of supervised workers and has a stalled one killed, which its supervisor
answers by a new start. A kill loses nothing: every worker goes on from what is durable.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
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
"""One partition that stands still while others move has stalled after so many times the patience:
a reader may leave one aside for a while."""
_LONGEST = 10
"""The patience doubles with each restart that did not help, up to so many times the first."""
_MOST_LOOK_S = 5.0
_START_S = 15.0
"""A new worker is given this long to come up before its patience begins."""

Tell = Callable[[str], None]


class StallWatch:
    """When did the positions of one group move last? Times are seconds of one clock."""

    def __init__(self, patience_s: float) -> None:
        self._first_s = patience_s
        self._patience_s = patience_s
        self._moved_s: dict[Place, float] = {}
        self._seen: dict[Place, PartitionLag] = {}

    def look(self, rows: Sequence[PartitionLag], now_s: float) -> PartitionLag | None:
        """The partition that waits longest when the group has stalled, else None."""
        waiting: list[PartitionLag] = []
        for row in rows:
            place = row.topic, row.partition
            before = self._seen.get(place)
            if before is not None and before.committed != row.committed:
                self._patience_s = self._first_s  # it works
            if before is None or before.committed != row.committed or row.lag == 0:
                self._moved_s[place] = now_s
            self._seen[place] = row
            if row.lag:
                waiting.append(row)
        if not waiting:
            return None
        since = {row: self._moved_s[row.topic, row.partition] for row in waiting}
        worst = min(waiting, key=since.__getitem__)
        if now_s - max(since.values()) >= self._patience_s:
            return worst
        return worst if now_s - since[worst] >= self._patience_s * _ALONE else None

    def stood_still_s(self, row: PartitionLag, now_s: float) -> float:
        """How long a partition has not moved."""
        return now_s - self._moved_s[row.topic, row.partition]

    def forget(self) -> None:
        """Begin again: the worker is another one, or nobody could look for a while."""
        self._moved_s, self._seen = {}, {}

    def restarted(self) -> None:
        """Begin again, with more patience for a restart that may not help."""
        self.forget()
        self._patience_s = min(self._patience_s * 2, self._first_s * _LONGEST)


@dataclass(slots=True)
class _Watched:
    """A worker's process, when it was seen first, and the watch over its group."""

    watch: StallWatch
    pid: int | None = None
    since_s: float = 0.0


class StallGuard:
    """Watches the groups of a supervisor's workers from a thread of its own."""

    def __init__(
        self,
        supervisor: Supervisor,
        kafka: str,
        namespace: Namespace,
        patience_s: float,
        tell: Tell,
    ) -> None:
        self._supervisor = supervisor
        self._kafka = kafka
        self._namespace = namespace
        self._patience_s = patience_s
        self._tell = tell
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
                    self._cannot_look(error)

    def _look_at(self, status: WorkerStatus, offsets: GroupOffsets) -> None:
        watch = self._watch(status)
        if watch is None:
            return
        rows = group_lag(offsets, status.name)
        if any(row.lag for row in rows):
            others = {
                place
                for place, member in offsets.owners(status.name).items()
                if member.instance != "1"  # what a supervised worker is (workers.worker_specs)
            }
            rows = [row for row in rows if (row.topic, row.partition) not in others]
        stalled = watch.look(rows, time.monotonic())
        if stalled is None:
            return
        if not self._is_real(stalled):
            watch.forget()
            return
        self._supervisor.restart(status.name, status.pid, self._reason(watch, stalled))
        watch.restarted()

    def _watch(self, status: WorkerStatus) -> StallWatch | None:
        """The watch over this worker; None while it comes up."""
        now_s = time.monotonic()
        watched = self._watches.setdefault(status.name, _Watched(StallWatch(self._patience_s)))
        if watched.pid != status.pid:
            watched.watch.forget()
            watched.pid, watched.since_s = status.pid, now_s
        return watched.watch if now_s - watched.since_s >= _START_S else None

    def _is_real(self, row: PartitionLag) -> bool:
        """Whether there is something to read (not the end mark of a transaction alone), and
        analytics, which commits only now and then, does not go on without committing."""
        base = self._namespace.base_topic(row.topic)
        if row.group == ANALYTICS:
            state = KafkaState(self._kafka, self._namespace)
            try:
                at = state.positions().get((base, row.partition))
            finally:
                state.close()
            if at is not None and at != row.committed:
                return False
        reader = StateReader(self._kafka)
        try:
            return (
                reader.record_at_or_after(row.topic, row.partition, row.committed or 0) is not None
            )
        finally:
            reader.close()

    def _reason(self, watch: StallWatch, row: PartitionLag) -> str:
        at = "nothing" if row.committed is None else f"offset {row.committed}"
        still_s = watch.stood_still_s(row, time.monotonic())
        return (
            f"stalled: it committed {at} of {row.end} on {row.topic} partition {row.partition} and "
            f"has not moved for {still_s:.0f} s"
        )

    def _cannot_look(self, error: Exception) -> None:
        """Without an answer nobody can be judged; said once."""
        for watched in self._watches.values():
            watched.watch.forget()
        if not self._blind:
            self._tell(f"cannot tell whether groups get on: {error}")
        self._blind = True
