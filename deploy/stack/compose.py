"""The servers as containers: ``docker compose`` on the compose file that the package carries."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optionstream.deploy.stack.ports import LOOPBACK
from optionstream.deploy.stack.types import Server
from optionstream.schemas.errors import ServerUnavailable
from optionstream.schemas.settings import Settings

COMPOSE_FILE = Path(__file__).with_name("docker-compose.kafka.yml")
PROJECT = "optionstream"
_ANSWER_S = 5
_START_S = 600


def compose_addresses(settings: Settings) -> dict[Server, str]:
    """Where clients on this machine find the containers."""
    return {
        Server.KAFKA: f"{LOOPBACK}:{settings.kafka_port}",
        Server.MONGO: f"mongodb://{LOOPBACK}:{settings.mongo_port}/?replicaSet=rs0",
        Server.REDIS: f"redis://{LOOPBACK}:{settings.redis_port}/0",
    }


class Compose:
    """Runs ``docker compose`` for one set of ports."""

    def __init__(self, settings: Settings, env: Mapping[str, str]) -> None:
        self._env = dict(env) | {
            "OPTIONSTREAM_KAFKA_PORT": str(settings.kafka_port),
            "OPTIONSTREAM_MONGO_PORT": str(settings.mongo_port),
            "OPTIONSTREAM_REDIS_PORT": str(settings.redis_port),
        }

    def engine_answers(self) -> bool:
        """A Docker engine with the compose plugin answers within seconds."""
        return all(
            self._succeeds(command)
            for command in (
                ["docker", "info", "--format", "{{.ServerVersion}}"],
                ["docker", "compose", "version"],
            )
        )

    def up(self, servers: Sequence[Server]) -> None:
        """Start the services and wait until their health checks pass."""
        ran = self._compose("up", "--detach", "--wait", *(s.value for s in servers))
        if ran.returncode != 0:
            said = ran.stderr.strip().splitlines() or ["no reason given"]
            raise ServerUnavailable(
                f"docker compose did not bring up {', '.join(servers)}: {said[-1]} "
                "(OPTIONSTREAM_STACK=native runs them without Docker)"
            )

    def stop(self, servers: Sequence[Server]) -> None:
        """Stop and remove the containers; their volumes stay."""
        ran = self._compose("rm", "--stop", "--force", *(s.value for s in servers))
        if ran.returncode != 0:
            said = ran.stderr.strip().splitlines() or ["no reason given"]
            raise ServerUnavailable(f"docker compose did not stop the servers: {said[-1]}")

    def running(self) -> frozenset[Server]:
        """The services whose container runs now."""
        ran = self._compose("ps", "--status", "running", "--format", "json")
        services = {row.get("Service") for row in _json_rows(ran.stdout)}
        return frozenset(server for server in Server if server.value in services)

    def logs(self, server: Server, lines: int, follow: bool) -> list[str]:
        """The command that prints a container's log."""
        tail = ["--no-log-prefix", f"--tail={lines}"] + (["--follow"] if follow else [])
        return [*self._command(), "logs", *tail, server.value]

    @property
    def env(self) -> Mapping[str, str]:
        return self._env

    def _command(self) -> list[str]:
        return ["docker", "compose", f"--file={COMPOSE_FILE}", f"--project-name={PROJECT}"]

    def _compose(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [*self._command(), *arguments],
                env=self._env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=_START_S,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ServerUnavailable(f"docker compose did not answer: {error}") from None

    def _succeeds(self, command: Sequence[str]) -> bool:
        try:
            ran = subprocess.run(
                command,
                env=self._env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=_ANSWER_S,
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return ran.returncode == 0


def _json_rows(text: str) -> list[dict[str, Any]]:
    """``docker compose ps`` prints one object a line, or one list in older versions."""
    rows: list[dict[str, Any]] = []
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        rows += value if isinstance(value, list) else [value]
    return rows
