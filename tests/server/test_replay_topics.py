"""Replays from the topics of another namespace."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from optionstream.schemas.times import to_ms
from optionstream.schemas.topics import MARKET_TOPICS, UNDERLYING, Namespace, partition_for
from optionstream.streams.kafka.records import RawRecord
from optionstream.streams.kafka.topic_reader import TopicReader
from tests.harness.commands import DAY, Cli, session_of, wait_for
from tests.harness.replays import replaying, settled

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]


@pytest.fixture
def origin(cli: Cli, name: str, tmp_path: Path) -> str:
    """A namespace with a session in it, and records of others: a tick without a header, one that is
    no record at all, and one that lies on a foreign partition."""
    cli.good("replay", session_of(tmp_path / "day.jsonl.zst", minutes=4), "--namespace", name)
    home = partition_for("NIFTY", 6)
    moment = to_ms(datetime.fromisoformat(f"{DAY}T09:17:00+05:30"))
    tick = b'{"product": "NIFTY", "ts_ms": %d, "price": 25000.5}' % moment
    producer = Producer({"bootstrap.servers": cli.addresses.kafka})
    for value, partition in ((tick, home), (b"\xffgarbage", home), (tick, (home + 1) % 6)):
        topic = Namespace(name).topic(UNDERLYING)
        producer.produce(topic, value, b"NIFTY", partition=partition, timestamp=moment)
    assert producer.flush(20) == 0
    # The workers have ended: a replay that adds nothing new makes them read what was put in.
    cli.good("replay", session_of(tmp_path / "more.jsonl.zst", 2, 1), "--namespace", name)
    return name


@pytest.fixture
def copies(cli: Cli, origin: str) -> Any:
    """Names for copies, dropped afterwards."""
    names = [f"{origin}-{part}" for part in ("whole", "half", "steps")]
    yield names
    for one in names:
        cli("replay", "drop", one)


def contents(cli: Cli, name: str) -> list[RawRecord]:
    """Every record of the market topics, each partition in its order."""
    found: list[RawRecord] = []
    with TopicReader(cli.addresses.kafka, Namespace(name)) as reader:
        for topic in MARKET_TOPICS:
            for batch in reader.read(topic, reader.bounds(topic)):
                found += batch
    return sorted(found, key=lambda one: (one.topic, one.partition, one.offset))


def test_a_replay_from_topics_has_the_same_records_and_the_same_results(
    cli: Cli, origin: str, copies: list[str]
) -> None:
    """Whole and byte for byte; by a range of time; sought and stepped, which cuts frames."""
    whole, half, steps = copies
    before = contents(cli, origin)
    (row,) = cli.good("replay", "--from-topics", origin, "--namespace", whole)
    assert row["rejects"] == {"foreign_partition": 1, "undecodable": 1}
    assert contents(cli, whole) == before
    ran = cli("verify", whole, "--against", origin, "--json")
    assert ran.code == 0, ran.out
    assert ran.rows[0]["compared"]["kafka analytics.chain"] > 0

    start, end = f"{DAY}T09:16:00", f"{DAY}T09:17:30"
    (row,) = cli.good(
        "replay", "--from-topics", origin, "--namespace", half, "--start", start, "--end", end
    )
    assert 0 < row["accepted"] < row["records_read"] * 100
    span = cli.good("replay", "status", half)[0]["manifest"]["range"]
    assert start <= span["first"][:19] <= span["last"][:19] < end
    assert cli("verify", half).code == 0
    assert cli("verify", half, "--against", origin).code == 1

    with replaying(cli, "--from-topics", origin, "--namespace", steps, "--paused") as process:
        wait_for(lambda: settled_or_new(cli, steps), "pause", 180)
        cli.good("replay", "seek", steps, f"{DAY}T09:16:10")
        cli.good("replay", "resume", steps)
        process.communicate(timeout=120)
        assert process.returncode == 0
    ran = cli("verify", steps, "--against", origin, "--json")
    assert ran.code == 0, ran.out

    assert contents(cli, origin) == before


def settled_or_new(cli: Cli, name: str) -> bool:
    ran = cli("replay", "list", "--json")
    return name in [row["id"] for row in ran.rows] and settled(cli, name)


def test_what_cannot_be_a_source_is_refused(cli: Cli, origin: str) -> None:
    for args, said in (
        (["--from-topics", "nobodys"], "no namespace nobodys"),
        (["--from-topics", origin, "--namespace", origin], "into itself"),
        (["--from-raw", "nobodys"], "no namespace nobodys"),
        (["--from-raw", origin], "no raw payloads"),
        (["--from-topics", origin, "--start", "2026-01-07"], "no records in this range"),
        (["--from-topics", origin, "--offsets", "market.underlying:77:0-1"], "no such partition"),
    ):
        ran = cli("replay", *args)
        assert (ran.code, said in ran.err) == (2, True), ran.err
