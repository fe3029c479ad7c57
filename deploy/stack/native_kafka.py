"""Apache Kafka as a native process: one node, broker and controller in one (KRaft)."""

from __future__ import annotations

import base64
import uuid
from pathlib import Path

from optionstream.deploy.stack.kafka_jars import find_java, kafka_jars
from optionstream.deploy.stack.native import NativeServer, Report
from optionstream.deploy.stack.ports import free_port
from optionstream.deploy.stack.probes import kafka_problem
from optionstream.deploy.stack.processes import last_line, run_program
from optionstream.deploy.stack.types import LOOPBACK, Server
from optionstream.schemas.errors import ServerUnavailable
from optionstream.schemas.topics import MAX_RECORD_BYTES

_LOGGING = Path(__file__).with_name("kafka-log4j2.xml")


class NativeKafka(NativeServer):
    """The broker and its data, which is formatted once and kept across restarts."""

    server = Server.KAFKA
    start_s = 90.0
    stop_s = 30.0

    def prepare_command(self, report: Report) -> list[str]:
        """Return the command that starts the broker, with its jars and a formatted data folder.

        Raises PrerequisiteError without Java or Maven, ServerUnavailable when a step fails.
        """
        java = find_java(self.env)
        jars = kafka_jars(self.env, report)
        properties = self.folder / "server.properties"
        properties.write_text(self._properties(controller_port=free_port()), encoding="utf-8")
        start = [
            str(java),
            f"-Dlog4j2.configurationFile={_LOGGING}",
            "-Djava.awt.headless=true",
            "-XX:+UseG1GC",
            "-XX:MaxGCPauseMillis=20",
            "-Xms128m",
            "-Xmx768m",
            "-cp",
            f"{jars}/*",
        ]
        if not (self._data / "meta.properties").exists():
            report("formatting its data folder")
            self._format([*start, "kafka.tools.StorageTool"], properties)
        return [*start, "kafka.Kafka", str(properties)]

    def find_problem(self) -> str | None:
        """Return None when the broker takes records and serves groups, else one line why not."""
        return kafka_problem(self.address, thorough=True)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _format(self, tool: list[str], properties: Path) -> None:
        # --ignore-formatted: continue a format that was interrupted.
        arguments = ["format", "--ignore-formatted", f"--cluster-id={_cluster_id()}"]
        ran = run_program([*tool, *arguments, f"--config={properties}"], self.env, timeout_s=120)
        if ran.returncode != 0:
            why = last_line(ran.stderr or ran.stdout)
            raise ServerUnavailable(f"kafka: cannot format {self._data}: {why}")

    def _properties(self, controller_port: int) -> str:
        rows: dict[str, str | int] = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://{LOOPBACK}:{controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self._data),
            "auto.create.topics.enable": "false",
            "message.max.bytes": MAX_RECORD_BYTES,
            "replica.fetch.max.bytes": MAX_RECORD_BYTES,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": self._settings.kafka_min_session_ms,
            "offsets.topic.num.partitions": 8,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.num.partitions": 8,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            # The cleaner's buffer would take a sixth of the heap for topics this small.
            "log.cleaner.dedupe.buffer.size": 32 * 1024 * 1024,
        }
        return "".join(f"{name}={value}\n" for name, value in rows.items())


def _cluster_id() -> str:
    """Return a UUID in Kafka's form; a leading dash would read as an option."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text
