"""All contestants in turn on the same records: frames of 1,000 ticks, and one tick a record."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from optionstream.deploy.namespaces.catalogue import drop_namespace
from optionstream.deploy.stack import Addresses
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import UNDERLYING, Namespace
from tests.bench.inputs import publish_ticks
from tests.bench.peers.bars import Key, Ohlc
from tests.bench.peers.contest import PEERS, WARM_UP_S, PeerRun, run_peer
from tests.bench.peers.order import Order
from tests.bench.worker import Run, watch

FRAME_TICKS = 1_000
OURS = "ours"
BARE = "bare"
RECORDS_METRIC = "optionstream_analytics_records_total"
_MOST_RECORDS_A_SECOND = 160_000
"""Of the fastest peer on 2 cores: a faster one is timed until the records end."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much each contestant gets: ``ticks`` in frames; of the same ticks as many one-tick
    records as a fast peer reads in ``seconds``; ``rounds`` turns for everyone."""

    ticks: int
    seconds: float
    rounds: int
    peers: tuple[str, ...] = tuple(PEERS)

    @property
    def records(self) -> int:
        return min(self.ticks, int((self.seconds + WARM_UP_S) * _MOST_RECORDS_A_SECOND))


@dataclass(slots=True)
class Rates:
    """Ticks a second by contestant, one figure a round; what the peers' runs told besides."""

    frames: dict[str, list[float]] = field(default_factory=dict)
    single: dict[str, list[float]] = field(default_factory=dict)
    peer_runs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    resident_bytes: int = 0
    """Of our worker, the most at the end of a replay of frames."""


class Throughput:
    """The servers and the plan; ``measure`` does it."""

    def __init__(self, addresses: Addresses, settings: Settings, folder: Path, plan: Plan) -> None:
        self._addresses = addresses
        self._settings = settings
        self._folder = folder
        self._plan = plan
        self._rates = Rates()

    def measure(self) -> Rates:
        """One contestant at a time, so that each has the machine and the broker for itself."""
        for turn in range(self._plan.rounds):
            self._frames(Namespace.parse(f"bench-frames-{turn}"))
            self._single(Namespace.parse(f"bench-single-{turn}"))
        return self._rates

    def _frames(self, namespace: Namespace) -> None:
        records = self._publish(namespace, FRAME_TICKS, None)
        rate, _ = self._bare(namespace, records, "frames")
        ours = self._ours(namespace, records)
        _add(self._rates.frames, BARE, rate)
        _add(self._rates.frames, OURS, ours.rate * FRAME_TICKS)
        self._rates.resident_bytes = max(self._rates.resident_bytes, ours.resident_bytes)
        self._drop(namespace)

    def _single(self, namespace: Namespace) -> None:
        records = self._publish(namespace, 1, self._plan.records)
        rate, bars = self._bare(namespace, records, "ticks")
        _add(self._rates.single, BARE, rate)
        _add(self._rates.single, OURS, self._ours(namespace, records).rate)
        for name in self._plan.peers:
            run = self._peer(name, namespace, records, bars)
            _add(self._rates.single, name, run.rate)
            self._rates.peer_runs.setdefault(name, []).append(asdict(run))
        self._drop(namespace)

    def _publish(self, namespace: Namespace, frame_ticks: int, at_most: int | None) -> int:
        kafka, ticks = self._addresses.kafka, self._plan.ticks
        return publish_ticks(kafka, namespace, self._settings, ticks, frame_ticks, at_most)

    def _bare(self, namespace: Namespace, records: int, kind: str) -> tuple[float, dict[Key, Ohlc]]:
        argv = [sys.executable, "-m", "tests.bench.bare", self._addresses.kafka]
        argv += [namespace.topic(UNDERLYING), str(records), kind]
        told = json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout)
        bars = {(product, start): tuple(ohlc) for product, start, *ohlc in told["bars"]}
        return told["ticks"] / told["seconds"], bars

    def _ours(self, namespace: Namespace, records: int) -> Run:
        log = self._folder / f"{namespace.name}-analytics.log"
        return watch(
            "analytics",
            namespace,
            self._addresses,
            self._settings,
            RECORDS_METRIC,
            records,
            log,
        )

    def _peer(
        self, name: str, namespace: Namespace, records: int, bars: dict[Key, Ohlc]
    ) -> PeerRun:
        peer, called = PEERS[name], f"{namespace.name}-{name}"
        folder = self._folder / called
        folder.mkdir()
        order = Order(
            name=called,
            kafka=self._addresses.kafka,
            topic=namespace.topic(UNDERLYING),
            output=f"{called}-{peer.output}",
            partitions=self._settings.partitions,
            records=records,
            warm_up_s=WARM_UP_S,
            seconds=self._plan.seconds,
            folder=str(folder),
            result=str(folder / "result.json"),
        )
        return run_peer(peer, order, bars)

    def _drop(self, namespace: Namespace) -> None:
        drop_namespace(self._addresses, namespace.name, self._settings)


def _add(rates: dict[str, list[float]], contestant: str, rate: float) -> None:
    rates.setdefault(contestant, []).append(rate)
