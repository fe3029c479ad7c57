"""One run of one peer: started in its own environment, timed by its meter, its bars compared."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from confluent_kafka.admin import NewTopic

from optionstream.streams.kafka.admin import admin_client, settle
from tests.bench.peers import bars
from tests.bench.peers.environment import ROOT, peer_python
from tests.bench.peers.order import VARIABLE, Order

WARM_UP_S = 2.0
_START_S = 120.0
_STOP_S = 20.0
_LOOK_S = 0.1
_LOG_TAIL = 2_000


@dataclass(frozen=True, slots=True)
class Peer:
    """A contestant: how it is started, which topic its bars are on, how they look there."""

    name: str
    title: str
    argv: tuple[str, ...]
    output: str
    parse: bars.Parse


PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "quix",
            "Quix Streams",
            ("tests.bench.peers.quix_windows",),
            "bars",
            bars.quix_bar,
        ),
        Peer(
            "bytewax",
            "Bytewax",
            ("bytewax.run", "tests.bench.peers.bytewax_windows:flow"),
            "bars",
            bars.bytewax_bar,
        ),
        Peer(
            "faust",
            "stock Faust",
            ("faust", "-A", "tests.bench.peers.faust_windows", "worker", "--without-web"),
            "bars-changelog",
            bars.faust_bar,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class PeerRun:
    """What a peer did after its warm-up, and how many of its bars were compared."""

    ticks: int
    seconds: float
    processor_s: float
    bars: int

    @property
    def rate(self) -> float:
        """Ticks a second."""
        return self.ticks / self.seconds


def run_peer(peer: Peer, order: Order, wanted: dict[bars.Key, bars.Ohlc]) -> PeerRun:
    """Let the peer carry out the order; raises RuntimeError when it fails or its bars differ."""
    _make_topic(order.kafka, order.output, order.partitions)
    result, log = Path(order.result), Path(order.folder) / "log"
    with _running(peer, order, log) as process:
        deadline = time.monotonic() + _START_S + order.warm_up_s + order.seconds
        while not result.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{peer.title} gave no figures; its log ends: {_tail(log)}")
            time.sleep(_LOOK_S)
        told = json.loads(result.read_text())
    compared = bars.compare(bars.written(order.kafka, order.output, peer.parse), wanted)
    return PeerRun(**told, bars=compared)


@contextmanager
def _running(peer: Peer, order: Order, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The peer's process; it stops itself after its measurement, or is stopped."""
    env = os.environ | {VARIABLE: json.dumps(asdict(order))}
    with log.open("ab") as out:
        process = subprocess.Popen(
            [peer_python(), "-m", *peer.argv], cwd=ROOT, env=env, stdout=out, stderr=out
        )
    try:
        yield process
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_S)
    finally:
        process.kill()
        process.wait()


def _make_topic(kafka: str, topic: str, partitions: int) -> None:
    """Kept for ever: retention counts from a bar's own time, which is of a past session."""
    admin = admin_client(kafka)
    new = NewTopic(topic, partitions, 1, config={"retention.ms": "-1"})
    for future in admin.create_topics([new]).values():
        settle(future)


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-_LOG_TAIL:]
