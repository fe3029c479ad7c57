"""A sink's worker as a process: log, metrics, signals."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Collection

from optionstream.streams.process import (
    WorkerConfig,
    configure_logging,
    serve_metrics,
    spare_the_collector,
)
from optionstream.streams.sinks.loop.consumer import GATHER_MS, SinkWorker
from optionstream.streams.sinks.loop.contract import Sink

logger = logging.getLogger(__name__)


def run_sink(
    config: WorkerConfig,
    group: str,
    sink: Callable[[WorkerConfig], Sink],
    *,
    linger_s: float = 0.0,
    commit_every_s: float = 0.0,
    check_topics_every_s: float = 0.0,
    gather_ms: int = GATHER_MS,
    held: Collection[str] = (),
    held_s: float = 0.0,
) -> int:
    """Run one worker of the group until SIGTERM or SIGINT; its exit code, as ``SinkWorker.run``."""
    configure_logging()
    stop = threading.Event()
    _stop_on_signals(stop)
    serve_metrics(config.metrics_port)
    worker = SinkWorker(
        config,
        group,
        sink(config),
        linger_s=linger_s,
        commit_every_s=commit_every_s,
        check_topics_every_s=check_topics_every_s,
        gather_ms=gather_ms,
        held=held,
        held_s=held_s,
        stop=stop,
    )
    spare_the_collector()
    return worker.run()


def _stop_on_signals(stop: threading.Event) -> None:
    def handle(number: int, _: object) -> None:
        logger.info("%s: stopping", signal.Signals(number).name)
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
