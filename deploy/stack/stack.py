"""The local stack: start, check and stop Kafka, MongoDB and Redis together.

The source of a server is an address in the settings (probed, never started or stopped), else
Docker when an engine answers, else a native process. A server of ours that runs already stays.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from optionstream.deploy.stack.compose import Compose, compose_addresses
from optionstream.deploy.stack.native import NativeServer
from optionstream.deploy.stack.native_kafka import NativeKafka
from optionstream.deploy.stack.native_mongo import NativeMongo
from optionstream.deploy.stack.native_redis import NativeRedis
from optionstream.deploy.stack.ports import port_holder, port_is_taken
from optionstream.deploy.stack.probes import find_problem
from optionstream.deploy.stack.processes import ProcessId, spawn_detached, stop
from optionstream.deploy.stack.state import Running, StackState
from optionstream.deploy.stack.tail import last_words, tail
from optionstream.deploy.stack.types import (
    Addresses,
    Health,
    Mode,
    Progress,
    Server,
    ServerStatus,
    address_variable,
    configured_address,
    port_variable,
)
from optionstream.deploy.waiting import attempts
from optionstream.schemas.errors import PrerequisiteError, ServerUnavailable
from optionstream.schemas.settings import Settings

_LOOK_AGAIN_S = 0.1
_CONTAINER_START_S = 60.0


def _ignore(server: str, text: str) -> None:
    """Progress that no caller asked for."""


class Stack:
    """The local stack of one data folder."""

    def __init__(self, settings: Settings, env: Mapping[str, str] | None = None) -> None:
        self._settings = settings
        self._state = StackState(settings)
        env = dict(os.environ if env is None else env)
        self._compose = Compose(settings, env)
        self._native: Mapping[Server, NativeServer] = {
            kind.server: kind(self._state.folder / kind.server.value, settings, env)
            for kind in (NativeKafka, NativeMongo, NativeRedis)
        }

    def up(self, report: Progress = _ignore) -> Addresses:
        """Start the servers that do not run yet and wait until all three are ready.

        Raises PrerequisiteError for what this machine lacks. Raises ServerUnavailable for a
        server that does not come up, an address that does not answer, or a port that is taken.
        Servers started before the error stay up; ``down`` stops them.
        """
        with self._state.locked():
            found = {s: at for s in Server if (at := self._ready_address(s, report)) is not None}
            missing = [server for server in Server if server not in found]
            if missing:
                start = self._start_containers if self._use_docker() else self._start_processes
                found |= start(missing, report)
        return Addresses(**found)

    def status(self) -> list[ServerStatus]:
        """Probe each server and return its status; changes nothing."""
        started = self._state.read()
        docker = any(running.mode is Mode.DOCKER for running in started.values())
        containers = self._compose.running() if docker else frozenset()
        return [self._status(s, started.get(s), containers) for s in Server]

    def down(self, report: Progress = _ignore) -> list[Server]:
        """Stop the servers that ``up`` started, and only those; their data stays.

        Returns the servers that were running.
        """
        with self._state.locked():
            stopped = self._stop(tuple(Server), report)
            self._state.clear()
        return stopped

    def stop(self, server: Server) -> None:
        """Stop one server, whose data stays; ``up`` brings it back."""
        with self._state.locked():
            self._stop([server], _ignore)

    def logs(self, server: Server, lines: int = 50, follow: bool = False) -> Iterator[str]:
        """Yield the last ``lines`` lines of a server's log; with ``follow`` new ones as well.

        Raises ServerUnavailable when there is no log.
        """
        running = self._state.read().get(server)
        if running is not None and running.mode is Mode.DOCKER:
            return self._container_log(server, lines, follow)
        if not self.log_file(server).exists():
            if configured_address(self._settings, server) is not None:
                why = f"{address_variable(server)} is set, so the stack does not run it"
            else:
                why = "it was never started here"
            raise ServerUnavailable(f"{server}: no log: {why}")
        return tail(self.log_file(server), lines, follow)

    def log_file(self, server: Server) -> Path:
        """Return the path of the file that takes a native server's output."""
        return self._state.log_file(server)

    # -- up -----------------------------------------------------------------------------------

    def _ready_address(self, server: Server, report: Progress) -> str | None:
        """Return the address of a server that is ready already; None if it has to be started.

        Raises ServerUnavailable for a configured address that does not answer.
        """
        configured = configured_address(self._settings, server)
        if configured is not None:
            variable = address_variable(server)
            problem = find_problem(server, configured)
            if problem is not None:
                raise ServerUnavailable(
                    f"{server}: {configured} ({variable}) is not responding ({problem})"
                )
            report(server, f"ready at {configured} (from {variable})")
            return configured
        running = self._state.read().get(server)
        if running is None:
            return None
        ended = running.mode is Mode.NATIVE and self._state.pid_file(server).read() is None
        if ended or find_problem(server, running.address) is not None:
            return None
        wanted = self._native[server].port
        moved = f":{wanted}" not in running.address
        note = f"; {port_variable(server)}={wanted} takes effect after `optionstream down`"
        report(server, f"already running at {running.address}{note if moved else ''}")
        return running.address

    def _use_docker(self) -> bool:
        if self._settings.stack == "native":
            return False
        answers = self._compose.engine_answers()
        if not answers and self._settings.stack == "docker":
            raise PrerequisiteError(
                "OPTIONSTREAM_STACK=docker, but no Docker engine with the compose plugin answers: "
                "start one, or install docker.io and docker-compose-v2"
            )
        return answers

    def _start_containers(self, servers: Sequence[Server], report: Progress) -> dict[Server, str]:
        running = self._compose.running()
        for server in servers:
            if server not in running:
                self._check_port(server)
            report(server, "starting in Docker")
        addresses = {s: compose_addresses(self._settings)[s] for s in servers}
        for server in servers:  # before they run, so that `down` finds them if this is cut off
            self._state.put(server, Running(Mode.DOCKER, addresses[server]))
        self._compose.up(servers)
        for server, address in addresses.items():
            _await_ready(server, partial(find_problem, server, address), _CONTAINER_START_S)
            report(server, f"ready at {address}")
        return addresses

    def _start_processes(self, servers: Sequence[Server], report: Progress) -> dict[Server, str]:
        """Start all of them, then wait for each."""
        started = {server: self._start_process(server, report) for server in servers}
        for server, process in started.items():
            self._await_process(server, process)
            report(server, f"ready at {self._native[server].address}")
        return {server: self._native[server].address for server in servers}

    def _start_process(self, server: Server, report: Progress) -> ProcessId:
        native = self._native[server]
        pid_file = self._state.pid_file(server)
        identity = pid_file.read()
        if identity is not None:
            if self._state.read().get(server) == Running(Mode.NATIVE, native.address):
                report(server, f"runs as pid {identity.pid}; waiting for it")
                return identity
            stop([identity], native.stop_s)  # ours, not ready, and not at the wanted address
        pid_file.clear()
        self._check_port(server)
        report(server, "starting")
        native.folder.mkdir(parents=True, exist_ok=True)
        command = native.prepare_command(partial(report, server))
        identity = spawn_detached(command, native.env, self.log_file(server))
        pid_file.write(identity)
        self._state.put(server, Running(Mode.NATIVE, native.address))
        return identity

    def _await_process(self, server: Server, identity: ProcessId) -> None:
        native = self._native[server]

        def find_problem() -> str | None:
            native.configure()
            problem = native.find_problem()
            if problem is not None and not identity.alive:
                log = self.log_file(server)
                raise ServerUnavailable(
                    f"{server}: ended while starting: {last_words(log)} (see {log})"
                )
            return problem

        _await_ready(server, find_problem, native.start_s)

    def _check_port(self, server: Server) -> None:
        port = self._native[server].port
        if port_is_taken(port):
            raise ServerUnavailable(
                f"{server}: port {port} is held by {port_holder(port)}; stop it, set "
                f"{port_variable(server)} to another port, or set {address_variable(server)} "
                f"to use a server that runs already"
            )

    # -- status, down, logs -------------------------------------------------------------------

    def _status(
        self, server: Server, running: Running | None, containers: frozenset[Server]
    ) -> ServerStatus:
        configured = configured_address(self._settings, server)
        if configured is not None:
            problem = find_problem(server, configured)
            health = Health.READY if problem is None else Health.UNREACHABLE
            return ServerStatus(server, health, Mode.ADDRESS, configured, None, problem or "")
        if running is None:
            return ServerStatus(server, Health.STOPPED, None, None)
        docker = running.mode is Mode.DOCKER
        process = None if docker else self._state.pid_file(server).read()
        if process is None and server not in containers:
            health, problem = Health.STOPPED, "not running (started by `up`, since exited)"
        else:
            problem = find_problem(server, running.address)
            health = Health.READY if problem is None else Health.NOT_READY
        pid = process.pid if process else None
        return ServerStatus(server, health, running.mode, running.address, pid, problem or "")

    def _stop(self, servers: Sequence[Server], report: Progress) -> list[Server]:
        """Stop processes and containers; return the servers that were running, in order."""
        files = {server: self._state.pid_file(server) for server in servers}
        living = {s: found for s, file in files.items() if (found := file.read()) is not None}
        for server, identity in living.items():
            report(server, f"stopping pid {identity.pid}")
        stop(list(living.values()), max((self._native[s].stop_s for s in living), default=0.0))
        for file in files.values():
            file.clear()
        stopped = {*living, *self._stop_containers(servers, report)}
        return [server for server in Server if server in stopped]

    def _stop_containers(self, servers: Sequence[Server], report: Progress) -> list[Server]:
        started = self._state.read()
        ours = [s for s in servers if s in started and started[s].mode is Mode.DOCKER]
        if not ours:
            return []
        running = self._compose.running()
        for server in ours:
            report(server, "stopping its container")
        self._compose.stop(ours)
        return [server for server in ours if server in running]

    def _container_log(self, server: Server, lines: int, follow: bool) -> Iterator[str]:
        with subprocess.Popen(
            self._compose.log_command(server, lines, follow),
            env=dict(self._compose.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                for line in process.stdout or ():
                    yield line.rstrip("\n")
            finally:
                with suppress(ProcessLookupError):
                    process.terminate()


def _await_ready(server: Server, find_problem: Callable[[], str | None], patience_s: float) -> None:
    """Wait until there is no problem; raise ServerUnavailable with it when patience runs out."""
    problem: str | None = None
    for _ in attempts(patience_s, _LOOK_AGAIN_S):
        problem = find_problem()
        if problem is None:
            return
    raise ServerUnavailable(f"{server}: not ready after {patience_s:.0f} s: {problem}")
