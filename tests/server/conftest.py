"""Real servers for a whole run of tests, and the order in which its tests start."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

# Now, because its plugin does so at the end, where Python 3.11.7 may fail to parse it ("AST
# constructor recursion depth mismatch") after these tests.
import hypothesis  # noqa: F401
import pytest

from optionstream.deploy.stack import Addresses
from optionstream.deploy.stack.tail import last_lines
from optionstream.schemas.settings import Settings
from tests.harness.commands import Cli
from tests.harness.servers import (
    PRODUCT_SESSION_MS,
    SERVERS_VARIABLE,
    SESSION_MS,
    addresses_in,
    held_servers,
)


@pytest.fixture(scope="session")
def addresses() -> Iterator[Addresses]:
    """Where the servers of this run are: those that were started for it, or some of its own."""
    file = os.environ.get(SERVERS_VARIABLE)
    if file:
        yield addresses_in(Path(file))
        return
    with held_servers() as own:
        yield addresses_in(own)


@pytest.fixture(scope="session")
def stack_settings(addresses: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of workers on these servers, with short sessions."""
    return Settings(
        data_dir=tmp_path_factory.mktemp("stack"),
        kafka=addresses.kafka,
        mongo=addresses.mongo,
        redis=addresses.redis,
        session_timeout_ms=SESSION_MS,
        kafka_min_session_ms=SESSION_MS,
    )


@pytest.fixture(scope="session")
def patient_settings(stack_settings: Settings) -> Settings:
    """The same with the session of the product: for tests in which no worker may end by itself."""
    return replace(stack_settings, session_timeout_ms=PRODUCT_SESSION_MS)


@pytest.fixture
def cli(
    addresses: Addresses,
    stack_settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Cli:
    data_dir = tmp_path / "data"
    monkeypatch.setenv("OPTIONSTREAM_DATA_DIR", str(data_dir))
    monkeypatch.setenv("OPTIONSTREAM_KAFKA", addresses.kafka)
    monkeypatch.setenv("OPTIONSTREAM_MONGO", addresses.mongo)
    monkeypatch.setenv("OPTIONSTREAM_REDIS", addresses.redis)
    monkeypatch.setenv("OPTIONSTREAM_PARTITIONS", str(stack_settings.partitions))
    session_ms = str(stack_settings.session_timeout_ms)
    monkeypatch.setenv("OPTIONSTREAM_SESSION_TIMEOUT_MS", session_ms)
    monkeypatch.setenv("OPTIONSTREAM_KAFKA_MIN_SESSION_MS", session_ms)
    return Cli(addresses, data_dir)


@pytest.fixture
def name(cli: Cli) -> Iterator[str]:
    """A namespace of the test's own, gone afterwards; a failed test shows its workers' logs."""
    chosen = f"t-{uuid4().hex[:8]}"
    yield chosen
    for log in sorted((cli.data_dir / "workers" / chosen).glob("*.log")):
        print(f"--- {log.name}", *last_lines(log, 60), sep="\n")
    cli("namespaces", "drop", chosen)
