"""Real servers for a whole test session: containers where Docker answers, else processes."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

# Now, because its plugin does so at the end, where Python 3.11.7 may fail to parse it ("AST
# constructor recursion depth mismatch") after these tests.
import hypothesis  # noqa: F401
import pytest
from testcontainers.compose import DockerCompose

from optionstream.deploy.stack import Addresses, Stack
from optionstream.deploy.stack.compose import COMPOSE_FILE, Compose, compose_addresses
from optionstream.deploy.stack.types import Server
from optionstream.schemas.settings import Settings
from tests.own_servers import own_settings


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.server)


@pytest.fixture(scope="session")
def stack_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings whose addresses point at running servers of this session's own."""
    settings = own_settings(tmp_path_factory.mktemp("stack"), stack="native")
    if Compose(settings, os.environ).engine_answers():
        yield from _in_containers(settings)
        return
    stack = Stack(settings)
    try:
        found = stack.up()
        yield replace(settings, kafka=found.kafka, mongo=found.mongo, redis=found.redis)
    finally:
        stack.down()


@pytest.fixture(scope="session")
def addresses(stack_settings: Settings) -> Addresses:
    """Where the session's servers are."""
    kafka, mongo, redis = stack_settings.kafka, stack_settings.mongo, stack_settings.redis
    assert kafka is not None and mongo is not None and redis is not None
    return Addresses(kafka, mongo, redis)


def _in_containers(settings: Settings) -> Iterator[Settings]:
    """The project's own compose file, under a name of its own so that no user's data is touched."""
    patch = pytest.MonkeyPatch()
    patch.setenv("COMPOSE_PROJECT_NAME", f"optionstream-test-{uuid.uuid4().hex[:8]}")
    for server, port in (
        ("KAFKA", settings.kafka_port),
        ("MONGO", settings.mongo_port),
        ("REDIS", settings.redis_port),
    ):
        patch.setenv(f"OPTIONSTREAM_{server}_PORT", str(port))
    where = compose_addresses(settings)
    file = COMPOSE_FILE.resolve()
    try:
        with DockerCompose(file.parent, compose_file_name=file.name, wait=True):
            yield replace(
                settings,
                kafka=where[Server.KAFKA],
                mongo=where[Server.MONGO],
                redis=where[Server.REDIS],
            )
    finally:
        patch.undo()
