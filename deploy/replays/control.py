"""Steering a running replay: it says what it does, and hears what it is told.

A thread of its own beats, so that a long read or a full queue is not taken for death; another
looks at the lag of the groups. MongoDB or Kafka away for a while is no reason to end a replay: the
threads try again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pymongo
from pymongo.errors import PyMongoError

from optionstream.deploy.groups.lag import OffsetSource, group_lag
from optionstream.deploy.namespaces.registry import Registry, TakenOver
from optionstream.schemas import replays, topics
from optionstream.schemas.errors import OptionstreamError, UsageError
from optionstream.schemas.replays import Answer, Command

_LAG_EVERY_S = 0.5

Row = dict[str, Any]


class Control:
    """An Inbox of commands, and the beat. A context manager; ``progress`` is called by the thread.

    ``check`` raises TakenOver once another replay has taken the namespace.
    """

    def __init__(
        self,
        client: pymongo.MongoClient[Row],
        name: str,
        run: str,
        progress: Callable[[], Row],
    ) -> None:
        self._registry = Registry(client)
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
        self._thread = threading.Thread(target=self._beat_on, name="control", daemon=True)

    def __enter__(self) -> Control:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._wake.set()
        self._thread.join()

    def taken(self) -> Sequence[tuple[str, Command]]:
        if not self._commands:
            return ()
        with self._lock:
            commands, self._commands = self._commands, []
        return commands

    def answer(self, answer: Answer) -> None:
        with self._lock:
            self._answers.append(answer)
        self._wake.set()

    def refuse(self, why: str) -> None:
        """Answer all that waits with a no."""
        for id_, _ in self.taken():
            self.answer(Answer(id_, False, why))

    def check(self) -> None:
        if self._taken_over is not None:
            raise self._taken_over

    def _beat_on(self) -> None:
        while True:
            ending = self._ending.is_set()
            self._wake.clear()
            try:
                self._beat()
            except TakenOver as error:
                self._taken_over = error
                return
            except PyMongoError:
                pass  # shows as dead meanwhile, and is told again at the next beat
            if ending:
                return
            self._wake.wait(replays.BEAT_EVERY_S)

    def _beat(self) -> None:
        with self._lock:
            answers = tuple(self._answers)
        waiting = self._registry.send_heartbeat(self._name, self._run_id, self._progress(), answers)
        with self._lock:
            del self._answers[: len(answers)]
        for row in waiting:
            if row["id"] not in self._seen:
                self._seen.add(row["id"])
                self._hear(row)

    def _hear(self, row: Row) -> None:
        try:
            command = replays.command_in(row)
        except (UsageError, KeyError, ValueError, TypeError) as error:
            self.answer(Answer(row["id"], False, str(error)))
            return
        with self._lock:
            self._commands.append((row["id"], command))


class Lag(NamedTuple):
    """Records that each group has yet to read, None where that cannot be told, as looked at from
    ``began_s`` (monotonic) on."""

    began_s: float
    of: dict[str, int | None]

    @property
    def none_left(self) -> bool:
        return all(left == 0 for left in self.of.values())


class LagWatch:
    """Looks at the lag of every group now and then: ``lag``. The groups are looked at in the order
    of the data, so that a look without lag says that all is read which was there before it."""

    def __init__(self, offsets: OffsetSource) -> None:
        self.lag = Lag(0.0, dict.fromkeys(topics.GROUPS))
        self._offsets = offsets
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="lag", daemon=True)

    def __enter__(self) -> LagWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def _look_on(self) -> None:
        while not self._ending.is_set():
            began_s = time.monotonic()
            self.lag = Lag(began_s, {group: self._lag_of(group) for group in topics.GROUPS})
            self._ending.wait(_LAG_EVERY_S)

    def _lag_of(self, group: str) -> int | None:
        try:
            return sum(row.lag for row in group_lag(self._offsets, group))
        except OptionstreamError:
            return None
