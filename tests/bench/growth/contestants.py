"""Workers that are started, watched until their first sign of work, and killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from optionstream.deploy.groups.lag import GroupOffsets, group_lag
from optionstream.deploy.stack import Addresses, free_port
from optionstream.deploy.workers.launch import worker_env
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import OHLC, UNDERLYING, Namespace
from tests.bench.peers.environment import ROOT
from tests.bench.peers.order import VARIABLE, Order
from tests.bench.worker import metric

BARE_APP = "tests.bench.growth.bare_table"
_BOOT_S = 0.2
"""No Python worker sends anything sooner; what a killed one had on its way is there by then."""
_LONGEST_S = 120.0
_LOOK_S = 0.005
_RECORDS = "optionstream_analytics_records_total"


class Contestant(ABC):
    """A worker process, started anew again and again; always in the same place of its group."""

    def __init__(self, group: str, argv: Sequence[str], env: dict[str, str], log: Path) -> None:
        self.group = group
        self._argv = argv
        self._env = env
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def first_s(self) -> float:
        """Start it; seconds from then until its first sign of work. RuntimeError when it ends, or
        shows none in two minutes."""
        self._prepare()
        with self._log.open("ab") as out:
            started_s = time.time()
            self._process = subprocess.Popen(
                self._argv, cwd=ROOT, env=self._env, stdout=out, stderr=out
            )
        deadline_s = time.monotonic() + _LONGEST_S
        while (sign_s := self._sign(started_s)) is None:
            if self._process.poll() is not None:
                raise RuntimeError(f"it ended with {self._process.returncode}; see {self._log}")
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"no sign of work in {_LONGEST_S:g} s; see {self._log}")
        return sign_s - started_s

    def kill(self) -> None:
        """``kill -9``; nothing when it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)

    @abstractmethod
    def _prepare(self) -> None:
        """Before the clock starts."""

    @abstractmethod
    def _sign(self, started_s: float) -> float | None:
        """The moment (epoch seconds) of its first sign of work, once it is known."""


class Analytics(Contestant):
    """The analytics worker; its sign is a bar that the broker appended after its start.

    The broker stamps this namespace's bars with the time at which it appends them.
    """

    def __init__(
        self, addresses: Addresses, namespace: Namespace, settings: Settings, log: Path
    ) -> None:
        self._port = free_port()
        argv = [sys.executable, "-m", "optionstream", "worker", "analytics"]
        argv += ["--namespace", namespace.name, "--metrics-port", str(self._port)]
        env = worker_env(addresses, settings)
        super().__init__(namespace.group("analytics"), argv, env, log)
        self._offsets = GroupOffsets(addresses.kafka, namespace)
        self._killed_at = 0
        self._bars = namespace.topic(OHLC)
        self._partitions = range(settings.partitions)
        stamp_appends(AdminClient({"bootstrap.servers": addresses.kafka}), self._bars)
        self._consumer = Consumer(
            {
                "bootstrap.servers": addresses.kafka,
                "group.id": f"{namespace.name}-watch",
                "enable.auto.commit": False,
            }
        )

    def lag(self) -> int:
        """Records that are there and not committed."""
        return sum(row.lag for row in group_lag(self._offsets, "analytics"))

    def read_again(self) -> int:
        """Records that this process has applied beyond those that came since the kill of the one
        before it."""
        came = self._end_of_input() - self._killed_at
        return max(0, int(metric(self._port, _RECORDS)) - came)

    def kill(self) -> None:
        super().kill()
        self._killed_at = self._end_of_input()

    def close(self) -> None:
        super().kill()
        self._consumer.close()

    def _prepare(self) -> None:
        self._consumer.unassign()

    def _sign(self, started_s: float) -> float | None:
        if not self._consumer.assignment():
            time.sleep(max(0.0, started_s + _BOOT_S - time.time()))
            self._consumer.assign([self._end(partition) for partition in self._partitions])
        message = self._consumer.poll(_LOOK_S)
        if message is None:
            return None
        if message.error() is not None:
            raise RuntimeError(f"{self._bars}: {message.error()}")
        kind, stamp_ms = message.timestamp()
        if kind != TIMESTAMP_LOG_APPEND_TIME:
            raise RuntimeError(f"{self._bars} is not stamped by the broker")
        return stamp_ms / 1_000 if stamp_ms / 1_000 >= started_s else None

    def _end_of_input(self) -> int:
        return sum(self._offsets.ends((UNDERLYING,)).values())

    def _end(self, partition: int) -> TopicPartition:
        place = TopicPartition(self._bars, partition)
        _, place.offset = self._consumer.get_watermark_offsets(place, timeout=30)
        return place


class BareFaust(Contestant):
    """Stock Faust with an empty table; its sign is its first record handled."""

    def __init__(
        self,
        addresses: Addresses,
        namespace: Namespace,
        settings: Settings,
        folder: Path,
        log: Path,
    ) -> None:
        name, topic = f"{namespace.name}-faust", namespace.topic(UNDERLYING)
        self._told = folder / f"{name}.first"
        order = Order(
            name,
            addresses.kafka,
            topic,
            "",
            settings.partitions,
            0,
            0,
            0,
            str(folder / name),
            str(self._told),
        )
        argv = [sys.executable, "-m", "faust", "-A", BARE_APP, "worker", "--without-web"]
        env = dict(os.environ) | {VARIABLE: json.dumps(asdict(order))}
        super().__init__(name, argv, env, log)

    def _prepare(self) -> None:
        self._told.unlink(missing_ok=True)

    def _sign(self, started_s: float) -> float | None:
        if self._told.exists():
            return float(self._told.read_text())
        time.sleep(_LOOK_S)
        return None


def stamp_appends(admin: AdminClient, topic: str) -> None:
    """Have the broker stamp the topic's records with the time at which it appends them."""
    entry = ConfigEntry(
        "message.timestamp.type",
        "LogAppendTime",
        incremental_operation=AlterConfigOpType.SET,
    )
    change = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    for answer in admin.incremental_alter_configs([change]).values():
        answer.result(30)
