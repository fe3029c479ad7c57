"""The servers as containers: ``docker compose`` on the compose file that the package carries."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optionstream.deploy.stack.processes import last_line, run_program
from optionstream.deploy.stack.types import Server, local_address, local_port, port_variable
from optionstream.schemas.errors import ServerUnavailable
from optionstream.schemas.settings import ENV_PREFIX, Settings

COMPOSE_FILE = Path(__file__).with_name("docker-compose.kafka.yml")
PROJECT = "optionstream"
_COMMAND = ("docker", "compose", f"--file={COMPOSE_FILE}", f"--project-name={PROJECT}")
_ANSWER_S = 5
_START_S = 600


def compose_addresses(settings: Settings) -> dict[Server, str]:
    """Return the containers' addresses for clients on this machine."""
    return {server: local_address(settings, server) for server in Server}


class Compose:
    """Run ``docker compose`` for one set of ports."""

    def __init__(self, settings: Settings, env: Mapping[str, str]) -> None:
        ports = {port_variable(server): str(local_port(settings, server)) for server in Server}
        session = {f"{ENV_PREFIX}KAFKA_MIN_SESSION_MS": str(settings.kafka_min_session_ms)}
        self.env = dict(env) | ports | session

    def engine_answers(self) -> bool:
        """Return True if a Docker engine with the compose plugin answers within seconds."""
        asked = (["info", "--format", "{{.ServerVersion}}"], ["compose", "version"])
        try:
            answers = [run_program(["docker", *words], self.env, _ANSWER_S) for words in asked]
        except (OSError, subprocess.TimeoutExpired):
            return False
        return not any(answer.returncode for answer in answers)

    def up(self, servers: Sequence[Server]) -> None:
        """Start the services and wait until their health checks pass.

        Raises ServerUnavailable when one of them fails or Docker does not answer.
        """
        ran = self._run("up", "--detach", "--wait", *servers)
        if ran.returncode != 0:
            raise ServerUnavailable(
                f"docker compose did not bring up {', '.join(servers)}: {last_line(ran.stderr)} "
                "(OPTIONSTREAM_STACK=native runs them without Docker)"
            )

    def stop(self, servers: Sequence[Server]) -> None:
        """Stop and remove the containers; their volumes stay. Raises ServerUnavailable."""
        ran = self._run("rm", "--stop", "--force", *servers)
        if ran.returncode != 0:
            why = last_line(ran.stderr)
            raise ServerUnavailable(f"docker compose did not stop the servers: {why}")

    def running(self) -> frozenset[Server]:
        """Return the servers whose container runs now. Raises ServerUnavailable."""
        ran = self._run("ps", "--status", "running", "--format", "json")
        services = {row.get("Service") for row in _json_rows(ran.stdout)}
        return frozenset(server for server in Server if server.value in services)

    def log_command(self, server: Server, lines: int, follow: bool) -> list[str]:
        """Return the command that prints a container's log."""
        tail = ["--no-log-prefix", f"--tail={lines}"] + (["--follow"] if follow else [])
        return [*_COMMAND, "logs", *tail, server.value]

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return run_program([*_COMMAND, *arguments], self.env, _START_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ServerUnavailable(f"docker compose did not answer: {error}") from None


def _json_rows(text: str) -> list[dict[str, Any]]:
    """Parse the output of ``docker compose ps``: one object a line, in older versions one list."""
    rows: list[dict[str, Any]] = []
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        rows += value if isinstance(value, list) else [value]
    return rows
