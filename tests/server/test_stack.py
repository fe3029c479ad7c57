"""The native stack on real servers: started twice, moved, killed, and never a stranger's."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pymongo
import pytest
import redis
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from optionstream.deploy.stack import (
    Addresses,
    Health,
    Mode,
    Server,
    Stack,
    free_port,
    running_addresses,
)
from optionstream.deploy.stack.processes import PidFile, ProcessId
from optionstream.schemas.errors import ServerUnavailable
from optionstream.schemas.settings import Settings
from tests.harness.servers import own_settings

pytestmark = [pytest.mark.timeout(600)]


def native_settings(folder: Path) -> Settings:
    return own_settings(folder, stack="native")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    made = native_settings(tmp_path_factory.mktemp("own-stack"))
    Stack(made).up()
    yield made
    Stack(made).down()


def pids(stack: Stack) -> dict[Server, int | None]:
    return {row.server: row.pid for row in stack.status()}


def test_up_again_changes_nothing_and_gives_the_same_addresses(settings: Settings) -> None:
    stack = Stack(settings)
    before, said = pids(stack), list[str]()
    found = stack.up(lambda server, text: said.append(text))
    assert pids(stack) == before
    assert found == running_addresses(settings)
    assert all(text.startswith("already running") for text in said)


def test_status_shows_three_ready_native_servers(settings: Settings) -> None:
    rows = Stack(settings).status()
    assert [row.server for row in rows] == list(Server)
    assert {(row.health, row.mode, row.detail) for row in rows} == {(Health.READY, Mode.NATIVE, "")}


def test_logs_give_the_last_lines(settings: Settings) -> None:
    assert "Kafka Server started" in "\n".join(Stack(settings).logs(Server.KAFKA, 20))
    assert len(list(Stack(settings).logs(Server.MONGO, 3))) == 3


def test_a_configured_address_is_asked_but_never_started_or_stopped(
    settings: Settings, tmp_path: Path
) -> None:
    found = running_addresses(settings)
    assert found is not None
    guest = Settings(tmp_path, kafka=found.kafka, mongo=found.mongo, redis=found.redis)
    assert Stack(guest).up() == found
    assert {row.mode for row in Stack(guest).status()} == {Mode.ADDRESS}
    assert Stack(guest).down() == []
    assert {row.health for row in Stack(settings).status()} == {Health.READY}


def test_a_configured_address_that_does_not_answer_is_named(tmp_path: Path) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    with pytest.raises(ServerUnavailable, match=f"kafka: {nowhere} .OPTIONSTREAM_KAFKA."):
        Stack(Settings(tmp_path, kafka=nowhere, stack="native")).up()


def test_the_foreign_holder_of_a_port_is_named_with_the_variable_that_moves_it(
    settings: Settings, tmp_path: Path
) -> None:
    found = running_addresses(settings)
    assert found is not None
    code = "import socket,sys; s=socket.socket(); s.bind(('127.0.0.1',0)); s.listen(); print(s.getsockname()[1], flush=True); sys.stdin.read()"  # noqa: E501
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        port = int(holder.stdout.readline())
        blocked = Settings(
            tmp_path, kafka=found.kafka, mongo=found.mongo, redis_port=port, stack="native"
        )
        with pytest.raises(ServerUnavailable) as caught:
            Stack(blocked).up()
        text = str(caught.value)
        name = psutil.Process(holder.pid).name()
        assert f"redis: port {port} is held by pid {holder.pid} ({name})" in text
        assert "OPTIONSTREAM_REDIS_PORT" in text
        assert "\n" not in text
        assert Stack(blocked).down() == []
        assert holder.poll() is None
        holder.terminate()


def test_a_stale_pid_file_is_survived_and_its_reused_pid_left_alone(
    settings: Settings, tmp_path: Path
) -> None:
    found = running_addresses(settings)
    assert found is not None
    only_redis = Settings(
        tmp_path, kafka=found.kafka, mongo=found.mongo, redis_port=free_port(), stack="native"
    )
    stack = Stack(only_redis)
    stack.up()
    file = PidFile(tmp_path / "stack" / "redis.pid")
    identity = file.read()
    assert identity is not None
    psutil.Process(identity.pid).send_signal(signal.SIGKILL)
    psutil.Process(identity.pid).wait(10)
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        started_s = psutil.Process(stranger.pid).create_time() - 3600
        file.write(ProcessId(stranger.pid, started_s))
        assert running_addresses(only_redis) is None
        assert stack.status()[2].health is Health.STOPPED
        stack.up()
        assert stack.status()[2].health is Health.READY
        assert stack.down() == [Server.REDIS]
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_broken_pid_file_and_state_file_read_as_nothing_started(tmp_path: Path) -> None:
    folder = tmp_path / "stack"
    folder.mkdir()
    (folder / "state.json").write_text('{"servers": {"kafka": 3}}')
    (folder / "kafka.pid").write_text("not a pid")
    settings = Settings(tmp_path, stack="native")
    assert running_addresses(settings) is None
    assert Stack(settings).down() == []


def test_data_survives_a_restart_on_other_ports_and_down_leaves_nothing(tmp_path: Path) -> None:
    first = native_settings(tmp_path)
    stack = Stack(first)
    try:
        write_something(stack.up())
        assert stack.down() == list(Server)
        assert running_addresses(first) is None
        for port in (first.kafka_port, first.mongo_port, first.redis_port):
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", port)) != 0
        moved = replace(
            first, kafka_port=free_port(), mongo_port=free_port(), redis_port=free_port()
        )
        stack = Stack(moved)
        assert read_something(stack.up()) == ("kept", "kept", True)
    finally:
        stack.down()


def write_something(found: Addresses) -> None:
    with pymongo.MongoClient[dict[str, Any]](found.mongo) as client:
        client["t"]["c"].with_options(write_concern=pymongo.WriteConcern(w="majority")).insert_one(
            {"_id": 1, "v": "kept"}
        )
    with redis.Redis.from_url(found.redis) as cache:
        cache.set("k", "kept")
    admin = AdminClient({"bootstrap.servers": found.kafka})
    for future in admin.create_topics([NewTopic("kept", 1, 1)]).values():
        future.result(timeout=10)


def read_something(found: Addresses) -> tuple[Any, Any, bool]:
    with pymongo.MongoClient[dict[str, Any]](found.mongo) as client:
        document = client["t"]["c"].find_one({"_id": 1}) or {}
    with redis.Redis.from_url(found.redis, decode_responses=True) as cache:
        value = cache.get("k")
    admin = AdminClient({"bootstrap.servers": found.kafka})
    return document.get("v"), value, "kept" in admin.list_topics(timeout=10).topics
