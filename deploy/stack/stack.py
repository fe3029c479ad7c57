"""The local stack: Kafka, MongoDB and Redis, brought up, asked and stopped together.

Where a server comes from: an address in the settings (asked, never started or stopped), else
Docker when an engine answers, else a native process. What already runs and is ours stays.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from optionstream.deploy.stack.compose import Compose, compose_addresses
from optionstream.deploy.stack.native import NativeServer
from optionstream.deploy.stack.native_kafka import NativeKafka
from optionstream.deploy.stack.native_mongo import NativeMongo
from optionstream.deploy.stack.native_redis import NativeRedis
from optionstream.deploy.stack.ports import port_holder, port_is_taken
from optionstream.deploy.stack.probes import kafka_problem, mongo_problem, redis_problem
from optionstream.deploy.stack.processes import PidFile, ProcessId, spawn_detached, stop
from optionstream.deploy.stack.state import Running, StateFile
from optionstream.deploy.stack.tail import last_lines, tail
from optionstream.deploy.stack.types import (
    Addresses,
    Health,
    Mode,
    Progress,
    Server,
    ServerStatus,
    address_variable,
    port_variable,
)
from optionstream.schemas.errors import PrerequisiteError, ServerUnavailable
from optionstream.schemas.settings import Settings

_PROBES: Mapping[Server, Callable[[str], str | None]] = {
    Server.KAFKA: kafka_problem,
    Server.MONGO: mongo_problem,
    Server.REDIS: redis_problem,
}
_LOOK_AGAIN_S = 0.1


def running_addresses(settings: Settings) -> Addresses | None:
    """Where the servers are: the settings' addresses, else what ``up`` started and still runs.

    None when a server is neither configured nor running. Asks no server anything.
    """
    folder = settings.data_dir / "stack"
    started = StateFile(folder).read()
    found: dict[Server, str] = {}
    for server in Server:
        configured = _configured(settings, server)
        running = started.get(server)
        if configured is not None:
            found[server] = configured
        elif running is not None and (
            running.mode is Mode.DOCKER or _pid_file(folder, server).read() is not None
        ):
            found[server] = running.address
    return _addresses(found) if len(found) == len(Server) else None


class Stack:
    """The local stack of one data folder."""

    def __init__(self, settings: Settings, env: Mapping[str, str] | None = None) -> None:
        self._settings = settings
        self._folder = settings.data_dir / "stack"
        self._state = StateFile(self._folder)
        env = dict(os.environ if env is None else env)
        self._compose = Compose(settings, env)
        self._native: Mapping[Server, NativeServer] = {
            Server.KAFKA: NativeKafka(self._folder / "kafka", settings.kafka_port, env),
            Server.MONGO: NativeMongo(self._folder / "mongo", settings.mongo_port, env),
            Server.REDIS: NativeRedis(self._folder / "redis", settings.redis_port, env),
        }

    def up(self, progress: Progress | None = None) -> Addresses:
        """Bring up what does not run yet, wait until all three are really ready.

        Raises PrerequisiteError for what this machine lacks and ServerUnavailable for a server
        that does not come up, an address that does not answer, or a port somebody else holds.
        What was started before the error stays up; ``down`` stops it.
        """
        tell = progress or (lambda server, text: None)
        with self._state.locked():
            return self._up(tell)

    def status(self) -> list[ServerStatus]:
        """Ask each server how it fares; changes nothing."""
        started = self._state.read()
        docker = any(running.mode is Mode.DOCKER for running in started.values())
        containers = self._compose.running() if docker else frozenset()
        return [self._status(s, started.get(s), containers) for s in Server]

    def down(self, progress: Progress | None = None) -> list[Server]:
        """Stop the servers that ``up`` started, and only those; their data stays.

        Returns the servers that were running.
        """
        tell = progress or (lambda server, text: None)
        with self._state.locked():
            stopped = self._stop_native(tell) + self._stop_containers(tell)
            for server in Server:
                self._state.remove(server)
        return sorted(stopped, key=list(Server).index)

    def stop(self, server: Server) -> None:
        """Stop one server, whose data stays; ``up`` brings it back."""
        with self._state.locked():
            self._stop_native(lambda _server, _text: None, [server])
            self._stop_containers(lambda _server, _text: None, [server])

    def logs(self, server: Server, lines: int = 50, follow: bool = False) -> Iterator[str]:
        """The last ``lines`` lines of a server's log; with ``follow`` those to come as well."""
        running = self._state.read().get(server)
        if running is not None and running.mode is Mode.DOCKER:
            return self._container_log(server, lines, follow)
        if not self.log_file(server).exists():
            if _configured(self._settings, server) is not None:
                why = f"{address_variable(server)} is set, so somebody else runs it"
            else:
                why = "it was never started here"
            raise ServerUnavailable(f"{server}: no log: {why}")
        return tail(self.log_file(server), lines, follow)

    def log_file(self, server: Server) -> Path:
        """Where a native server's output goes."""
        return self._folder / f"{server.value}.log"

    # -- up -----------------------------------------------------------------------------------

    def _up(self, tell: Progress) -> Addresses:
        found: dict[Server, str] = {}
        missing: list[Server] = []
        for server in Server:
            configured = _configured(self._settings, server)
            if configured is not None:
                self._check_configured(server, configured)
                tell(server, f"ready at {configured} (from {address_variable(server)})")
                found[server] = configured
            else:
                missing.append(server)
        missing = [s for s in missing if not self._already_up(s, found, tell)]
        if missing and self._by_docker():
            found |= self._up_docker(missing, tell)
        elif missing:
            found |= self._up_native(missing, tell)
        return _addresses(found)

    def _already_up(self, server: Server, found: dict[Server, str], tell: Progress) -> bool:
        running = self._state.read().get(server)
        if running is None:
            return False
        if running.mode is Mode.NATIVE and _pid_file(self._folder, server).read() is None:
            return False
        if _PROBES[server](running.address) is not None:
            return False
        note = ""
        wanted = self._native[server].port
        if f":{wanted}" not in running.address:
            note = f"; {port_variable(server)}={wanted} takes effect after `optionstream down`"
        tell(server, f"already running at {running.address}{note}")
        found[server] = running.address
        return True

    def _check_configured(self, server: Server, address: str) -> None:
        problem = _PROBES[server](address)
        if problem is not None:
            raise ServerUnavailable(
                f"{server}: {address} ({address_variable(server)}) does not work: {problem}"
            )

    def _by_docker(self) -> bool:
        if self._settings.stack == "native":
            return False
        answers = self._compose.engine_answers()
        if not answers and self._settings.stack == "docker":
            raise PrerequisiteError(
                "OPTIONSTREAM_STACK=docker, but no Docker engine with the compose plugin answers: "
                "start one, or install docker.io and docker-compose-v2"
            )
        return answers

    def _up_docker(self, servers: list[Server], tell: Progress) -> dict[Server, str]:
        held = self._compose.running()
        for server in servers:
            if server not in held:
                self._check_port(server, self._native[server].port)
            tell(server, "starting in Docker")
        addresses = {s: compose_addresses(self._settings)[s] for s in servers}
        for server in servers:  # before they run, so that `down` finds them if this is cut off
            self._state.put(server, Running(Mode.DOCKER, addresses[server]))
        self._compose.up(servers)
        for server, address in addresses.items():
            _wait(partial(_PROBES[server], address), 60.0, server, None)
            tell(server, f"ready at {address}")
        return addresses

    def _up_native(self, servers: list[Server], tell: Progress) -> dict[Server, str]:
        started = [self._start_native(server, tell) for server in servers]
        return {process.native.server: self._await_native(process, tell) for process in started}

    def _start_native(self, server: Server, tell: Progress) -> _Started:
        native = self._native[server]
        pid_file = _pid_file(self._folder, server)
        identity = pid_file.read()
        running = self._state.read().get(server)
        if identity is not None and running is not None and running.mode is Mode.NATIVE:
            if running.address == native.address:
                tell(server, f"runs as pid {identity.pid}; waiting for it")
                return _Started(native, identity)
            stop([identity], native.stop_s)  # ours, not ready, and not where it is wanted
        elif identity is not None:
            stop([identity], native.stop_s)
        pid_file.clear()
        self._check_port(server, native.port)
        tell(server, "starting")
        command = native.prepare(lambda text: tell(server, text))
        identity = spawn_detached(command.argv, command.env, self.log_file(server))
        pid_file.write(identity)
        self._state.put(server, Running(Mode.NATIVE, native.address))
        return _Started(native, identity)

    def _await_native(self, started: _Started, tell: Progress) -> str:
        native, identity = started.native, started.identity

        def problem() -> str | None:
            native.settle()
            return native.problem()

        def death() -> str | None:
            if identity.alive:
                return None
            log = self.log_file(native.server)
            said = last_lines(log, 1)
            return f"ended while starting: {said[0] if said else 'it said nothing'} (see {log})"

        _wait(problem, native.start_s, native.server, death)
        tell(native.server, f"ready at {native.address}")
        return native.address

    def _check_port(self, server: Server, port: int) -> None:
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
        configured = _configured(self._settings, server)
        if configured is not None:
            problem = _PROBES[server](configured)
            health = Health.READY if problem is None else Health.UNREACHABLE
            return ServerStatus(server, health, Mode.ADDRESS, configured, None, problem or "")
        identity = _pid_file(self._folder, server).read()
        if running is None:
            return ServerStatus(server, Health.STOPPED, None, None)
        if running.mode is Mode.DOCKER:
            identity, lives = None, server in containers
        else:
            lives = identity is not None
        pid = identity.pid if identity else None
        if not lives:
            detail = "was started, but does not run any more"
            return ServerStatus(server, Health.STOPPED, running.mode, running.address, pid, detail)
        problem = _PROBES[server](running.address)
        health = Health.READY if problem is None else Health.NOT_READY
        return ServerStatus(server, health, running.mode, running.address, pid, problem or "")

    def _stop_native(
        self, tell: Progress, servers: Sequence[Server] = tuple(Server)
    ) -> list[Server]:
        living: dict[Server, ProcessId] = {}
        for server in servers:
            identity = _pid_file(self._folder, server).read()
            if identity is not None:
                living[server] = identity
                tell(server, f"stopping pid {identity.pid}")
        grace_s = max((self._native[s].stop_s for s in living), default=0.0)
        stop(list(living.values()), grace_s)
        for server in servers:
            _pid_file(self._folder, server).clear()
        return list(living)

    def _stop_containers(
        self, tell: Progress, servers: Sequence[Server] = tuple(Server)
    ) -> list[Server]:
        started = self._state.read()
        ours = [s for s in servers if s in started and started[s].mode is Mode.DOCKER]
        if not ours:
            return []
        running = self._compose.running()
        for server in ours:
            tell(server, "stopping its container")
        self._compose.stop(ours)
        return [server for server in ours if server in running]

    def _container_log(self, server: Server, lines: int, follow: bool) -> Iterator[str]:
        with subprocess.Popen(
            self._compose.logs(server, lines, follow),
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


@dataclass(frozen=True, slots=True)
class _Started:
    native: NativeServer
    identity: ProcessId


def _wait(
    problem: Callable[[], str | None],
    patience_s: float,
    server: Server,
    death: Callable[[], str | None] | None,
) -> None:
    """Until there is no problem; ServerUnavailable when it died or patience ran out."""
    deadline_s = time.monotonic() + patience_s
    while (said := problem()) is not None:
        died = death() if death is not None else None
        if died is not None:
            raise ServerUnavailable(f"{server}: {died}")
        if time.monotonic() > deadline_s:
            raise ServerUnavailable(f"{server}: not ready after {patience_s:.0f} s: {said}")
        time.sleep(_LOOK_AGAIN_S)


def _configured(settings: Settings, server: Server) -> str | None:
    return {
        Server.KAFKA: settings.kafka,
        Server.MONGO: settings.mongo,
        Server.REDIS: settings.redis,
    }[server]


def _pid_file(folder: Path, server: Server) -> PidFile:
    return PidFile(folder / f"{server.value}.pid")


def _addresses(found: Mapping[Server, str]) -> Addresses:
    return Addresses(found[Server.KAFKA], found[Server.MONGO], found[Server.REDIS])
