"""Metrics of a worker over HTTP, in the Prometheus text form, and its log set-up."""

from __future__ import annotations

import logging
import sys

from prometheus_client import REGISTRY, start_http_server

logger = logging.getLogger(__name__)


def serve_metrics(port: int) -> int:
    """Serve this process's metrics at ``http://127.0.0.1:<port>/metrics``; returns the port.

    Port 0 takes a free one.
    """
    server, _ = start_http_server(port, addr="127.0.0.1", registry=REGISTRY)
    actual = int(server.server_address[1])
    logger.info("metrics at http://127.0.0.1:%d/metrics", actual)
    return actual


def configure_logging(level: int = logging.INFO) -> None:
    """One line an event on stderr, with time, level and logger."""
    logging.basicConfig(
        level=level,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
