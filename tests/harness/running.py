"""A namespace of a test's own with real workers, as processes of the command line.

Workers can be killed, frozen, thawed and replaced. What the three groups are to reach is known from
the topics themselves, so that waiting needs no help from the workers.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pymongo
import redis as redis_client

from optionstream.deploy.groups.lag import GroupOffsets, Offsets, group_lag
from optionstream.deploy.namespaces.topics import delete_topics, ensure_topics, topics_of
from optionstream.deploy.replays.progress import counts_row
from optionstream.deploy.stack import Addresses
from optionstream.schemas import topics
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import Namespace
from optionstream.streams.analytics.counts import read_counts
from optionstream.streams.analytics.state import KafkaState
from optionstream.streams.core.market.calendar import nse_calendar
from optionstream.streams.kafka.admin import admin_client, partition_counts
from optionstream.streams.process import EXIT_RESTART
from optionstream.streams.verify import Report
from optionstream.streams.verify import verify as recompute
from tests.harness.cli import Ran, run
from tests.harness.input import input_producer, produce, raise_undelivered
from tests.harness.seeded import Sent
from tests.harness.servers import PRODUCT_SESSION_MS
from tests.harness.workers import STOPPED, Launch, Worker, command

SINKS = tuple(group for group in topics.GROUPS if group != "analytics")
LONGEST_WAIT_S = 180.0
"""No measure of anything: several times what a busy machine needs."""
_SHOWN_DIFFERENCES = 12


class Running:
    """Topics, groups, a database and keys that nobody else uses, and the workers on them."""

    def __init__(self, addresses: Addresses, settings: Settings, folder: Path) -> None:
        self.addresses = addresses
        self.settings = settings
        self.folder = folder
        self.namespace = Namespace.parse(f"t-{uuid4().hex[:10]}")
        self.admin = admin_client(addresses.kafka)
        self.offsets = GroupOffsets(addresses.kafka, self.namespace)
        self.mongo: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(
            addresses.mongo, tz_aware=True
        )
        self.db = self.mongo[self.namespace.mongo_db]
        self.redis = redis_client.Redis.from_url(addresses.redis)
        self.workers: dict[str, Worker] = {}
        self._short = settings.session_timeout_ms < PRODUCT_SESSION_MS
        self.env = dict(os.environ) | {
            "OPTIONSTREAM_DATA_DIR": str(folder / "data"),
            "OPTIONSTREAM_KAFKA": addresses.kafka,
            "OPTIONSTREAM_MONGO": addresses.mongo,
            "OPTIONSTREAM_REDIS": addresses.redis,
            "OPTIONSTREAM_PARTITIONS": str(settings.partitions),
            "OPTIONSTREAM_SESSION_TIMEOUT_MS": str(settings.session_timeout_ms),
            "OPTIONSTREAM_KAFKA_MIN_SESSION_MS": str(settings.kafka_min_session_ms),
            "PYTHONFAULTHANDLER": "1",
        }
        self._producer = input_producer(addresses.kafka)
        ensure_topics(addresses.kafka, self.namespace, settings)

    # -- input ------------------------------------------------------------------------------

    def publish(
        self, records: Iterable[Sent], on_delivery: Callable[[Any, Any], None] | None = None
    ) -> None:
        """Hand records over; ``flush`` waits until they are there."""
        for record in records:
            produce(
                self._producer,
                self.namespace,
                self.settings.partitions,
                record,
                on_delivery or raise_undelivered,
            )
            self._producer.poll(0)

    def flush(self) -> None:
        assert self._producer.flush(60) == 0, "Kafka did not take all records"

    def cli(self, *args: object) -> Ran:
        """Run a command on this namespace, in this process."""
        return run(*args, "--namespace", self.namespace.name, env=self.env)

    # -- workers ----------------------------------------------------------------------------

    def start(
        self,
        group: str,
        instance: str = "1",
        *more: str,
        launch: Launch = command,
    ) -> Worker:
        """Start a worker; one that ended in the same place is followed by it."""
        argv = ["worker", group]
        argv += ["--namespace", self.namespace.name, "--instance", instance, *more]
        log = self.folder / f"{group}-{instance}.log"
        before = self.workers.get(f"{group}-{instance}")
        assert before is None or before.process.poll() is not None, f"{before} still runs"
        worker = Worker(group, instance, argv, log, launch(argv, self.env, log))
        if before is not None:
            worker.ended = before.ended
        self.workers[worker.name] = worker
        return worker

    def start_all(self) -> None:
        for group in topics.GROUPS:
            self.start(group)

    def kill(self, worker: Worker, number: signal.Signals) -> int:
        """Send a signal that ends the worker and wait for its end."""
        worker.send(number)
        return worker.wait()

    def stop(self, *groups: str) -> None:
        """SIGTERM; every worker must end well."""
        stopped = [
            worker
            for worker in self.workers.values()
            if worker.group in (groups or topics.GROUPS) and worker.process.poll() is None
        ]
        for worker in stopped:
            worker.send(signal.SIGTERM)
        codes = {worker.name: worker.wait() for worker in stopped}
        assert set(codes.values()) <= set(STOPPED), f"exit codes {codes}\n{self.logs()}"

    def wait_until_left(self, *groups: str, timeout_s: float = 180) -> None:
        """Until nobody is a member any more: a worker that stopped stays one for a while."""
        self.wait_for(
            lambda: not any(self.offsets.members(group) for group in groups or topics.GROUPS),
            "members to leave",
            timeout_s,
            running=False,
        )

    def revive(self) -> list[str]:
        """Start again whoever ended without being asked, as the supervisor would; their names."""
        gone = []
        for worker in list(self.workers.values()):
            code = worker.process.poll()
            if code is not None and not worker.awaited:
                gone.append(worker.name)
                worker.ended.append(code)
                self.start(worker.group, worker.instance)
        return gone

    def _dead(self) -> list[str]:
        """Return the names of workers that ended without being asked.

        With a session shorter than the product's, a worker on a busy machine ends because it slept
        for half of it. It is started again, as the supervisor would.
        """
        dead = []
        for worker in list(self.workers.values()):
            if worker.process.poll() is None or worker.awaited:
                continue
            if self._short and worker.slept():
                worker.ended.append(EXIT_RESTART)
                self.start(worker.group, worker.instance)
            else:
                dead.append(worker.name)
        return dead

    def logs(self) -> str:
        return "\n".join(worker.said() for worker in self.workers.values())

    # -- waiting ----------------------------------------------------------------------------

    def wait_for(
        self,
        done: Callable[[], bool],
        what: str,
        timeout_s: float = LONGEST_WAIT_S,
        *,
        running: bool = True,
    ) -> None:
        """Fails with the workers' last words; at once when one of them ended, unless told not to
        look."""
        until_s = time.monotonic() + timeout_s
        while not done():
            dead = self._dead() if running else []
            waited = time.monotonic() > until_s
            if waited or dead:
                why = f"not within {timeout_s:.0f} s" if waited else f"{dead} ended"
                self._dump_stacks()
                raise AssertionError(f"{what}: {why}\n{self.logs()}")
            time.sleep(0.1)

    def _dump_stacks(self) -> None:
        """Have the living workers say in their logs where they are; it ends them."""
        living = [w.process for w in self.workers.values() if w.process.poll() is None]
        for process in living:
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGABRT)
        for process in living:
            process.wait(20)

    def progress(self, group: str) -> int:
        """Records that the group has committed."""
        return sum(self.offsets.committed(group).values())

    def owned_by(self, group: str, instance: str) -> int:
        """Partitions that a member has. A client of its own asks: one that has lived through a
        restart of the broker may find no coordinator any more (librdkafka 2.16)."""
        owners = GroupOffsets(self.addresses.kafka, self.namespace).owners(group)
        return sum(member.instance == instance for member in owners.values())

    def lag(self, group: str) -> int:
        """Records that the group has yet to commit."""
        return sum(row.lag for row in group_lag(self.offsets, group))

    def applied(self) -> Offsets:
        """The next input offset of each partition, as of its durable state."""
        state = KafkaState(self.addresses.kafka, self.namespace)
        try:
            return {
                (self.namespace.topic(topic), partition): snapshot.offset + 1
                for (topic, partition), snapshot in state.snapshots().items()
            }
        finally:
            state.close()

    def analysed(self, ends: Offsets) -> bool:
        applied = self.applied()
        return all(applied.get(place, 0) >= end for place, end in ends.items())

    def input_ends(self) -> Offsets:
        return self.offsets.ends(topics.MARKET_TOPICS)

    def wait_until_analysed(self, timeout_s: float = LONGEST_WAIT_S) -> None:
        """Until the durable state covers all input that is there now."""
        ends = self.input_ends()
        self.wait_for(lambda: self.analysed(ends), f"analytics to reach {ends}", timeout_s)

    def wait_until_sunk(self, timeout_s: float = LONGEST_WAIT_S) -> None:
        """Until the sinks have committed everything there is now."""
        for group in SINKS:
            ends = self.offsets.ends(topics.GROUP_TOPICS[group])

            def read(group: str = group, ends: Offsets = ends) -> bool:
                return not any(row.lag for row in group_lag(self.offsets, group, ends))

            self.wait_for(read, f"{group} to read everything", timeout_s)

    def wait_until_done(self, timeout_s: float = LONGEST_WAIT_S) -> None:
        self.wait_until_analysed(timeout_s)
        self.wait_until_sunk(timeout_s)

    # -- results ----------------------------------------------------------------------------

    def report(self) -> Report:
        """What ``optionstream verify`` finds."""
        where = self.addresses
        counts = counts_row(read_counts(where.kafka, self.namespace))
        return recompute(
            where.kafka,
            where.mongo,
            where.redis,
            self.namespace,
            self.settings,
            nse_calendar(),
            counts,
        )

    def verify(self) -> Report:
        """The report, which must be without a difference."""
        report = self.report()
        shown = "\n".join(map(str, report.differences[:_SHOWN_DIFFERENCES]))
        assert report.ok, f"{report.difference_totals}\n{shown}\n{self.logs()}"
        return report

    def drop_stores(self) -> None:
        """Forget what the sinks have: their groups, the database and the keys."""
        for group in SINKS:
            name = self.namespace.group(group)
            self.admin.delete_consumer_groups([name])[name].result(timeout=30)
        self.mongo.drop_database(self.namespace.mongo_db)
        self._delete_keys()

    def _delete_keys(self) -> None:
        for key in self.redis.scan_iter(self.namespace.redis("*"), count=1000):
            self.redis.delete(key)

    def close(self) -> None:
        for worker in self.workers.values():
            if worker.process.poll() is None:
                worker.process.kill()
            worker.process.wait(30)
        self._producer.flush(10)
        self.mongo.drop_database(self.namespace.mongo_db)
        self.mongo.close()
        self._delete_keys()
        self.redis.close()
        there = topics_of(self.namespace, partition_counts(self.admin))
        delete_topics(self.admin, there)


@contextmanager
def running(addresses: Addresses, settings: Settings, folder: Path) -> Iterator[Running]:
    made = Running(addresses, settings, folder)
    try:
        yield made
    finally:
        made.close()
