"""One replay under faults: its workers, its sender, the servers, and what each fault does."""

from __future__ import annotations

import random
import resource
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from confluent_kafka import KafkaException

from optionstream.deploy.groups.lag import group_lag
from optionstream.deploy.stack import Addresses, Stack
from optionstream.deploy.stack.types import Server
from optionstream.schemas import topics
from optionstream.schemas.errors import OptionstreamError
from optionstream.schemas.settings import Settings
from tests.chaos.producing import Producing
from tests.chaos.schedule import Fault, Step
from tests.harness.archived import keep_archive
from tests.harness.running import SINKS, Running
from tests.harness.seeded import Sent

FROZEN_S = 9.0
"""Longer than a session may be silent."""
_LONGEST_RESEND = 2_000
_DOWN_S = (0.3, 2.0)
_TO_ARCHIVE = 20
_LOOK_AGAIN_S = 0.1
_LONGEST_WAIT_S = 150.0


class Chaos:
    """Workers of a namespace of its own, fed by a process, on servers that may be stopped."""

    def __init__(
        self,
        stack: Stack,
        addresses: Addresses,
        settings: Settings,
        folder: Path,
        records: Sequence[Sent],
        over_s: float,
        rng: random.Random,
    ) -> None:
        self._stack = stack
        self._rng = rng
        self.revived: list[str] = []
        """Workers that ended by themselves and were started again, as the supervisor does."""
        self._records = records
        self.world = Running(addresses, settings, folder)
        keep_archive(self.world)
        self.world.start_all()
        self.world.start("audit")
        self.sender = Producing(
            addresses, self.world.namespace, settings.partitions, records, over_s, folder
        )

    def close(self) -> None:
        self.sender.close()
        self.world.close()

    # -- faults -----------------------------------------------------------------------------

    def suffer(self, step: Step) -> None:
        """Let the input get so far, wait a while, and have the fault happen."""
        self.sender.allow(step.at)
        self._live_for(step.pause_s)
        self._what(step.fault)()

    def _what(self, fault: Fault) -> Callable[[], None]:
        known: dict[Fault, Callable[[], None]] = {
            Fault.KILL_ANALYTICS: partial(self._kill, "analytics"),
            Fault.KILL_LATEST: partial(self._kill, "latest"),
            Fault.KILL_HISTORY: partial(self._kill, "history"),
            Fault.KILL_AUDIT: partial(self._kill, "audit"),
            Fault.KILL_PRODUCER: self.sender.kill,
            Fault.FREEZE_ANALYTICS: partial(self._freeze, "analytics"),
            Fault.FREEZE_LATEST: partial(self._freeze, "latest"),
            Fault.FREEZE_HISTORY: partial(self._freeze, "history"),
            Fault.REBALANCE: self._rebalance,
            Fault.RESEND: self._resend,
            Fault.STOP_KAFKA: partial(self._restart, Server.KAFKA),
            Fault.STOP_MONGO: partial(self._restart, Server.MONGO),
            Fault.STOP_REDIS: partial(self._restart, Server.REDIS),
            Fault.FLUSH_REDIS: self._flush_redis,
            Fault.FILL_DISK: self._fill_disk,
        }
        return known[fault]

    def _kill(self, group: str) -> None:
        worker = self.world.workers[f"{group}-1"]
        if worker.process.poll() is None:
            self.world.kill(worker, signal.SIGKILL)
            self.world.start(group)
        else:
            self._revive()

    def _freeze(self, group: str) -> None:
        """Past the end of its session, while another takes over; then it goes on writing."""
        worker = self.world.workers[f"{group}-1"]
        self._join(group)
        worker.send(signal.SIGSTOP)
        self._live_for(FROZEN_S)
        worker.send(signal.SIGCONT)
        self._live_for(1.0)
        self._leave(group)

    def _rebalance(self) -> None:
        group = self._rng.choice(topics.GROUPS)
        self._join(group)
        self._live_for(self._rng.uniform(0.0, 1.0))
        self._leave(group)

    def _join(self, group: str) -> None:
        self.world.start(group, "2")
        name = f"{group}-2"
        self._until(lambda: self.world.owned_by(group, "2") > 0, f"{name} to own partitions")

    def _leave(self, group: str) -> None:
        worker = self.world.workers[f"{group}-2"]
        if worker.process.poll() is None:
            self.world.kill(worker, self._rng.choice((signal.SIGTERM, signal.SIGKILL)))
        self.world.workers.pop(worker.name)

    def _resend(self) -> None:
        self.sender.kill(back=self._rng.randint(1, _LONGEST_RESEND))

    def _restart(self, server: Server) -> None:
        self._stack.stop(server)
        self._live_for(self._rng.uniform(*_DOWN_S))
        self._stack.up()

    def _flush_redis(self) -> None:
        self.world.redis.flushdb()

    def _fill_disk(self) -> None:
        """The archive takes not one byte more; its worker ends by that, and finds room again."""
        worker = self.world.workers["audit-1"]
        if worker.process.poll() is None:
            no_bytes = 0, resource.RLIM_INFINITY
            resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, no_bytes)
        self.world.publish(self._records[:_TO_ARCHIVE])  # something to write, and duplicates
        self.world.flush()
        self._until(lambda: worker.process.poll() is not None, "audit to end by a full disk")

    # -- time -------------------------------------------------------------------------------

    def finish(self) -> None:
        """All input is sent, and every group has read everything."""
        self.sender.finish()
        self.world.flush()
        ends = self.world.input_ends()
        self._until(lambda: self.world.analysed(ends), "analytics to read everything")
        for group in (*SINKS, "audit"):
            self._until(partial(self._has_read, group), f"{group} to read everything")

    def _has_read(self, group: str) -> bool:
        return not any(row.lag for row in group_lag(self.world.offsets, group))

    def _revive(self) -> None:
        self.revived += self.world.revive()

    def _live_for(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            self._revive()
            time.sleep(min(left_s, _LOOK_AGAIN_S))

    def _until(self, done: Callable[[], bool], what: str) -> None:
        until_s = time.monotonic() + _LONGEST_WAIT_S
        told = ""
        while True:
            try:
                if done():
                    return
            except (KafkaException, OptionstreamError, TimeoutError) as error:
                told = f" ({error!r})"  # the broker may have come back a moment ago
            self._revive()
            if time.monotonic() > until_s:
                waited = f"not in {_LONGEST_WAIT_S:.0f} s{told}"
                raise AssertionError(f"{what}: {waited}\n{self.world.logs()}")
            time.sleep(_LOOK_AGAIN_S)
