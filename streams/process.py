"""A worker process: its configuration, log, metrics page and garbage collector; its fatal end."""

from __future__ import annotations

import gc
import logging
import os
import sys
from dataclasses import dataclass
from typing import Final, NoReturn

from prometheus_client import REGISTRY, start_http_server

from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import Namespace

EXIT_RESTART: Final = 70
"""Exit code of a process that must not continue; the supervisor starts a successor."""

_YOUNG: Final = 10_000
"""Objects made between two searches for garbage: a chain makes hundreds, none in a cycle."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """Addresses, namespace and settings of one worker process.

    ``instance`` tells the workers of one group apart ("1", "2" …): it makes the group's
    membership static, so that a restarted worker gets its partitions back at once.
    """

    kafka: str
    mongo: str
    redis: str
    namespace: Namespace
    settings: Settings
    instance: str = "1"
    metrics_port: int = 0
    """Port of the metrics page; 0 takes a free one and logs it."""


def configure_logging(level: int = logging.INFO) -> None:
    """Log one line an event to stderr, with time, level and logger."""
    logging.basicConfig(
        level=level,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )


def serve_metrics(port: int) -> int:
    """Serve this process's metrics at ``http://127.0.0.1:<port>/metrics``; return the port.

    Port 0 takes a free one.
    """
    server, _ = start_http_server(port, addr="127.0.0.1", registry=REGISTRY)
    actual = int(server.server_address[1])
    logger.info("metrics at http://127.0.0.1:%d/metrics", actual)
    return actual


def spare_the_collector() -> None:
    """Collect cycles less often, and exempt what exists now. Call once a worker is built.

    What it imported lives as long as the process: searching all of it would stop the event loop
    for tens of milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])


def end_process(why: str) -> NoReturn:
    """End at once, without any clean-up that could write or hang; the supervisor restarts."""
    logger.critical("ending this process: %s", why)
    for handler in logging.getLogger().handlers:
        handler.flush()
    os._exit(EXIT_RESTART)
