"""Remote control of a running replay: its heartbeat with progress, commands and answers; its lag.

The heartbeat has a thread of its own, so that a replay in a long read or with a full queue does
not count as dead; another thread checks the lag of the groups. A replay survives a while without
MongoDB or Kafka: the threads try again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pymongo.errors import PyMongoError

from optionstream.deploy.groups.lag import OffsetSource, group_lag
from optionstream.deploy.namespaces.registry import Registry, TakenOver
from optionstream.schemas import replays, topics
from optionstream.schemas.errors import OptionstreamError, UsageError
from optionstream.schemas.replays import Answer, Command

_LAG_EVERY_S = 0.5

Row = dict[str, Any]


class Control:
    """An Inbox of commands, and the heartbeat; a context manager.

    ``progress`` is called by the heartbeat's thread.
    """

    def __init__(
        self, registry: Registry, name: str, run: str, progress: Callable[[], Row]
    ) -> None:
        self._registry = registry
        self._name = name
        self._run_id = run
        self._progress = progress
        self._lock = threading.Lock()
        self._commands: list[tuple[str, Command]] = []
        self._answers: list[Answer] = []
        self._seen: set[str] = set()
        self._taken_over: TakenOver | None = None
        self._ending = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._send_heartbeats, name="control", daemon=True)

    def __enter__(self) -> Control:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._wake.set()
        self._thread.join()

    def taken(self) -> Sequence[tuple[str, Command]]:
        """Return the commands that arrived since the last call, each with its id."""
        if not self._commands:
            return ()
        with self._lock:
            commands, self._commands = self._commands, []
        return commands

    def answer(self, answer: Answer) -> None:
        """Answer a command."""
        with self._lock:
            self._answers.append(answer)
        self._wake.set()

    def refuse(self, why: str) -> None:
        """Refuse all commands that wait, with the reason ``why``."""
        for id_, _ in self.taken():
            self.answer(Answer(id_, False, why))

    def check(self) -> None:
        """Raise TakenOver if another replay has taken the namespace."""
        if self._taken_over is not None:
            raise self._taken_over

    def _send_heartbeats(self) -> None:
        while True:
            ending = self._ending.is_set()
            self._wake.clear()
            try:
                self._send_heartbeat()
            except TakenOver as error:
                self._taken_over = error
                return
            except PyMongoError:
                pass  # counts as dead meanwhile; the next heartbeat repeats what this one had
            if ending:
                return
            self._wake.wait(replays.BEAT_EVERY_S)

    def _send_heartbeat(self) -> None:
        with self._lock:
            answers = tuple(self._answers)
        waiting = self._registry.send_heartbeat(self._name, self._run_id, self._progress(), answers)
        with self._lock:
            del self._answers[: len(answers)]
        for row in waiting:
            if row["id"] not in self._seen:
                self._seen.add(row["id"])
                self._queue_command(row)

    def _queue_command(self, row: Row) -> None:
        try:
            command = replays.command_in(row)
        except (UsageError, KeyError, ValueError, TypeError) as error:
            self.answer(Answer(row["id"], False, str(error)))
            return
        with self._lock:
            self._commands.append((row["id"], command))


class Lag(NamedTuple):
    """The records that each group has yet to read, None where that is not known.

    The look at them started at ``started_s`` (monotonic).
    """

    started_s: float
    by_group: dict[str, int | None]

    @property
    def none_left(self) -> bool:
        """True if every group has read everything."""
        return all(left == 0 for left in self.by_group.values())


class LagWatch:
    """Checks the lag of every group now and then (``lag``), in a thread; a context manager.

    The groups are checked in the order of the data. A check without lag therefore proves that all
    records that existed before it are read.
    """

    def __init__(self, offsets: OffsetSource) -> None:
        self.lag = Lag(0.0, dict.fromkeys(topics.GROUPS))
        self._offsets = offsets
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._check_lags, name="lag", daemon=True)

    def __enter__(self) -> LagWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def _check_lags(self) -> None:
        while not self._ending.is_set():
            started_s = time.monotonic()
            self.lag = Lag(started_s, {group: self._lag_of(group) for group in topics.GROUPS})
            self._ending.wait(_LAG_EVERY_S)

    def _lag_of(self, group: str) -> int | None:
        try:
            return sum(row.lag for row in group_lag(self._offsets, group))
        except OptionstreamError:
            return None
