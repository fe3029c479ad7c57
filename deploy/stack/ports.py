"""Ports of this machine: find a free one, check one, name the process that holds it."""

from __future__ import annotations

import errno
import socket

import psutil

from optionstream.deploy.stack.types import LOOPBACK


def free_port() -> int:
    """Return a port of the loopback address that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def port_is_taken(port: int) -> bool:
    """Return True if no server can listen on the port of the loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
            raise
        return False


def port_holder(port: int) -> str:
    """Describe the process that listens on the port: ``pid 4711 (java)`` where it is known."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        connections = []
    for one in connections:
        if one.status == psutil.CONN_LISTEN and one.pid and one.laddr and one.laddr[1] == port:
            try:
                return f"pid {one.pid} ({psutil.Process(one.pid).name()})"
            except psutil.Error:
                return f"pid {one.pid}"
    return "another user's process"


def accepts_connections(host: str, port: int, timeout_s: float = 1.0) -> bool:
    """Return True if a connection to the port is accepted within ``timeout_s``."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return True
    except OSError:
        return False
