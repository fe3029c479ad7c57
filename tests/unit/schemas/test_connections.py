"""Every client of the product is made from the options of one module."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

from optionstream.producers.kafka.settings import PublisherSettings
from optionstream.schemas import connections
from optionstream.streams.engine import outbox, reader

ROOT = Path(__file__).resolve().parents[3]
PRODUCT = ("api", "deploy", "producers", "schemas", "streams")
CLIENT = re.compile(r"(AdminClient|Consumer|Producer|(Async)?MongoClient|from_url)\b")
OPTION = re.compile(
    r"bootstrap\.servers|enable\.idempotence|serverSelectionTimeoutMS|socket_connect_timeout"
)


def product_files() -> list[Path]:
    return [path for room in PRODUCT for path in sorted((ROOT / room).rglob("*.py"))]


def clients_made(text: str) -> list[str]:
    """The calls in a module that make a client, as source."""
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    return [
        ast.unparse(one)
        for one in calls
        if CLIENT.match(ast.unparse(one.func).partition("[")[0].rpartition(".")[2])
    ]


def test_every_client_is_made_from_the_options_of_connections() -> None:
    made = [
        (path.relative_to(ROOT), call)
        for path in product_files()
        for call in clients_made(path.read_text("utf-8"))
    ]
    own = r"_options\(|\.configuration\(|_settings"
    assert len(made) > 15
    assert [one for one in made if not re.search(own, one[1])] == []


def test_no_other_module_names_an_address_option() -> None:
    stray = [
        str(path.relative_to(ROOT))
        for path in product_files()
        if OPTION.search(path.read_text("utf-8")) and path.name != "connections.py"
    ]
    assert stray == []


def test_a_client_made_by_hand_is_found() -> None:
    assert clients_made('a = pymongo.MongoClient[Row](uri, x=1)\nb = Consumer({"a": 1})') == [
        "pymongo.MongoClient[Row](uri, x=1)",
        "Consumer({'a': 1})",
    ]


def test_the_module_imports_no_driver() -> None:
    tree = ast.parse(Path(connections.__file__).read_text("utf-8"))
    names = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert names <= set(sys.stdlib_module_names)


CONSUMER = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "earliest",
}


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (
            reader._settings("k:1", "g", 2),
            {
                "bootstrap.servers": "k:1",
                "group.id": "g",
                **CONSUMER,
                "isolation.level": "read_committed",
                "check.crcs": True,
                "max.partition.fetch.bytes": 262_144,
                "queued.max.messages.kbytes": 2_048,
                "socket.nagle.disable": True,
                "queued.min.messages": 1,
                "fetch.queue.backoff.ms": 2,
                "fetch.wait.max.ms": 10,
                **connections.WORKER_LOG,
            },
        ),
        (
            outbox._settings("k:1"),
            {
                "bootstrap.servers": "k:1",
                "acks": "all",
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": 0,
                "message.max.bytes": 16_777_216,
                "delivery.timeout.ms": 30_000,
                "queue.buffering.max.kbytes": 65_536,
                "socket.nagle.disable": True,
                **connections.WORKER_LOG,
            },
        ),
        (
            PublisherSettings().configuration("k:1"),
            {
                "bootstrap.servers": "k:1",
                "client.id": "optionstream-publisher",
                "acks": "all",
                "enable.idempotence": True,
                "max.in.flight.requests.per.connection": 5,
                "compression.type": "zstd",
                "linger.ms": 5,
                "message.max.bytes": 16_777_216,
                "delivery.timeout.ms": 120_000,
                "queue.buffering.max.messages": 100_000,
                "queue.buffering.max.kbytes": 131_072,
                "topic.metadata.propagation.max.ms": 10_000,
            },
        ),
        (
            connections.mongo_options("m", 5_000, connect=True, retryWrites=False),
            {
                "host": "m",
                "serverSelectionTimeoutMS": 5_000,
                "connectTimeoutMS": 5_000,
                "retryWrites": False,
            },
        ),
        (
            connections.mongo_options("m", 5_000),
            {"host": "m", "serverSelectionTimeoutMS": 5_000},
        ),
        (
            connections.redis_options("r", 10, 3, max_connections=2),
            {
                "url": "r",
                "socket_timeout": 10,
                "socket_connect_timeout": 3,
                "max_connections": 2,
            },
        ),
        (connections.redis_options("r"), {"url": "r"}),
    ],
)
def test_settings_are_those_that_exactness_and_latency_rest_on(
    made: connections.Options, expected: connections.Options
) -> None:
    assert made == expected
