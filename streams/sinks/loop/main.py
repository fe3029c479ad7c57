"""A sink's worker as a process: log, metrics, signals."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable

from optionstream.streams.process import (
    WorkerConfig,
    configure_logging,
    serve_metrics,
    spare_the_collector,
)
from optionstream.streams.sinks.loop.consumer import SinkWorker
from optionstream.streams.sinks.loop.contract import LoopOptions, Sink

logger = logging.getLogger(__name__)


def run_sink(
    config: WorkerConfig,
    group: str,
    sink: Callable[[WorkerConfig], Sink],
    options: LoopOptions,
) -> int:
    """Run one worker of the group until SIGTERM or SIGINT; return its exit code, as
    ``SinkWorker.run``."""
    configure_logging()
    stop = threading.Event()
    _stop_on_signals(stop)
    serve_metrics(config.metrics_port)
    worker = SinkWorker(config, group, sink(config), options, stop)
    spare_the_collector()
    return worker.run()


def _stop_on_signals(stop: threading.Event) -> None:
    def handle(number: int, _: object) -> None:
        logger.info("%s: stopping", signal.Signals(number).name)
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
