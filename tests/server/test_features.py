"""The features worker on real servers: what it keeps is a batch join, whatever is killed."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from confluent_kafka import Consumer, TopicPartition

from optionstream.deploy.stack import Addresses
from optionstream.producers.feeds.session_file import header_for, write_session
from optionstream.producers.simulated import SimulatedMarket, SimulationConfig
from optionstream.schemas import codec
from optionstream.schemas.derived import Bar, ChainAnalytics
from optionstream.schemas.files.feature_rows import COLUMNS, POSITIONS, file_order
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import CHAIN, OHLC
from optionstream.streams.sinks.features.store import read_positions
from tests.harness import feature_model as model
from tests.harness.cli import run
from tests.harness.input import Stream
from tests.harness.running import Running, running
from tests.harness.seeded import DATES, messy_input, open_ms
from tests.harness.seeds import new_seed
from tests.harness.storms import joined_frozen_and_killed, killed_again_and_again

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]


@pytest.fixture
def world(addresses: Addresses, patient_settings: Settings, tmp_path: Path) -> Iterator[Running]:
    with running(addresses, patient_settings, tmp_path) as made:
        made.env["OPTIONSTREAM_FEATURES_FLUSH_S"] = "1"
        made.env["OPTIONSTREAM_FEATURES_IDLE_S"] = "4"
        made.env["OPTIONSTREAM_FEATURES_MAX_AGE_MS"] = str(model.MAX_AGE_MS)
        made.env["OPTIONSTREAM_FEATURES_DIR"] = str(tmp_path / "features")
        yield made


PATIENT = {"OPTIONSTREAM_SESSION_TIMEOUT_MS": "20000"}
"""Of analytics, which is not tested here: it ends when it was asleep for half of it."""


def start_analytics(world: Running) -> None:
    before = world.env
    world.env = before | PATIENT
    try:
        world.start("analytics")
    finally:
        world.env = before


def folder(world: Running) -> Path:
    return world.folder / "features" / world.namespace.name


def wait_until_written(world: Running) -> None:
    """Until analytics and features have read everything and no bar waits for its row. A worker that
    ended by itself is followed by another: analytics does so on a machine that is too busy."""
    ends = world.input_ends()

    def analysed() -> bool:
        world.revive()
        return world.analysed(ends)

    def done() -> bool:
        world.revive()
        if not (folder(world) / POSITIONS).exists() or world.lag("features"):
            return False
        return not read_positions(folder(world)).waiting

    world.wait_for(analysed, "analytics to read everything", 120, running=False)
    world.wait_for(done, "features to write everything", 90, running=False)


def derived(world: Running) -> tuple[list[Bar], list[ChainAnalytics]]:
    """All that analytics has sent, each once, from the topics."""
    ends = {place: end for place, end in world.offsets.ends((OHLC, CHAIN)).items() if end}
    consumer = Consumer({"bootstrap.servers": world.addresses.kafka, "group.id": "test-only"})
    consumer.assign([TopicPartition(*place, 0) for place in ends])
    bars, chains, left = {}, {}, sum(ends.values())
    while left:
        for message in consumer.consume(1_000, 1.0):
            assert message.error() is None
            left -= 1
            record = codec.decode(message.value(), message.headers())  # type: ignore[arg-type]
            if isinstance(record, Bar) and record.final:
                bars[record.id] = record
            elif isinstance(record, ChainAnalytics):
                chains[record.id] = record
    consumer.close()
    return list(bars.values()), list(chains.values())


def export(world: Running, out: Path, *more: str) -> list[dict[str, Any]]:
    span = ("--start", DATES[0], "--end", DATES[-1])
    ran = world.cli("features", "export", "--out", out, *span, *more)
    assert ran.code == 0, ran.err
    return pl.read_parquet(out).to_dicts()


def without_known_at(rows: dict[Any, dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    """When something was known depends on how records were packed when analytics read them."""
    return {
        key: {name: value for name, value in row.items() if name != "known_at"}
        for key, row in rows.items()
    }


def check_export(world: Running) -> list[dict[str, Any]]:
    """The exported rows, each bar once, are those of a batch join over the topics."""
    rows = export(world, world.folder / "out.parquet")
    found = model.told(rows)
    assert len(found) == len(rows), "a bar twice"
    bars, chains = derived(world)
    assert without_known_at(found) == without_known_at(model.batch(bars, chains))
    assert list(rows[0]) == [column.name for column in COLUMNS]
    return rows


def kept(world: Running) -> dict[str, list[dict[str, Any]]]:
    """All rows of all files."""
    found = {}
    for path in sorted(folder(world).glob("date=*/*.parquet")):
        found[str(path)] = pl.read_parquet(path).to_dicts()
    return found


def check_files(world: Running) -> None:
    """Every revision of a bar once, from 1 on; each file in its order."""
    for rows in kept(world).values():
        assert rows == sorted(rows, key=file_order)
        revisions: dict[Any, list[int]] = {}
        for row in rows:
            revisions.setdefault((row["interval"], row["start"]), []).append(row["revision"])
        assert all(found == list(range(1, len(found) + 1)) for found in revisions.values())


def test_killed_frozen_and_joined_the_rows_are_those_of_a_batch_join(world: Running) -> None:
    rng = random.Random(new_seed())
    records = messy_input(rng.randrange(1 << 30), ticks=16_000, chains=500)
    start_analytics(world)
    world.start("features")
    with Stream(world, records, over_s=20) as stream:
        stream.allow(1.0)
        killed_again_and_again(world, "features", rng)
        world.kill(world.workers["analytics-1"], signal.SIGKILL)  # its outputs come once more
        start_analytics(world)
        joined_frozen_and_killed(world, "features", rng)
    wait_until_written(world)
    world.stop("features", "analytics")
    rows = check_export(world)
    assert {row["near_reason"] for row in rows} >= {None}
    check_files(world)


def test_killed_in_mid_replay_and_started_again_the_day_is_complete(world: Running) -> None:
    """A simulated session; then all of it again, into an empty folder."""
    name = world.namespace.name
    path = world.folder / "day.jsonl.zst"
    config = SimulationConfig(
        seed=new_seed(),
        date=DATES[0],
        products=("NIFTY", "BANKNIFTY"),
        close_ms=open_ms(DATES[0]) + 30 * 60_000,
    )
    write_session(path, header_for(config.products, {}), SimulatedMarket(config).events())
    world.start("features")
    argv = [sys.executable, "-m", "optionstream", "replay", str(path), "--namespace", name]
    replay = subprocess.Popen(
        [*argv, "--speed", "180", "--json"], env=world.env | PATIENT, stdout=subprocess.PIPE
    )
    try:
        world.wait_for(lambda: bool(kept(world)), "the first rows")
        assert replay.poll() is None, "the replay was over before the kill"
        world.kill(world.workers["features-1"], signal.SIGKILL)
        before = kept(world)
        world.start("features")
        assert replay.wait(120) == 0
    finally:
        if replay.poll() is None:
            replay.kill()
        replay.communicate()
    wait_until_written(world)
    rows = check_export(world)
    assert {row["product"] for row in rows} == {"NIFTY", "BANKNIFTY"}
    assert len([row for row in rows if row["interval"] == "1m"]) == 60
    after = kept(world)
    for file, held in before.items():
        assert [row for row in held if row not in after[file]] == []  # nothing was overwritten
    narrowed = export(world, world.folder / "5m.parquet", "--interval", "5m", "--product", "NIFTY")
    assert [(row["interval"], row["product"]) for row in narrowed] == [("5m", "NIFTY")] * 6
    assert export(world, world.folder / "first.parquet", "--as-known")

    world.stop("features")
    world.wait_until_left("features")
    (folder(world)).rename(world.folder / "before")
    world.start("features")
    wait_until_written(world)
    check_export(world)
    world.stop("features")


def test_a_folder_that_cannot_be_written_ends_the_worker_and_loses_nothing(world: Running) -> None:
    records = messy_input(11, ticks=4_000, chains=100)
    half = len(records) // 2
    start_analytics(world)
    world.publish(records[:half])
    world.flush()
    world.start("features")
    wait_until_written(world)
    partial = folder(world) / "partial"
    partial.rmdir()
    partial.touch()
    world.publish(records[half:])
    world.flush()
    worker = world.workers["features-1"]
    assert worker.wait(60) == 1
    assert f"features: features {folder(world)}: Not a directory" in worker.said()
    partial.unlink()
    world.start("features")
    wait_until_written(world)
    world.stop("features", "analytics")
    check_export(world)
    check_files(world)


def test_the_command_line_drops_the_folder_with_the_namespace(world: Running) -> None:
    world.publish(messy_input(3, ticks=400, chains=20))
    world.flush()
    start_analytics(world)
    world.start("features")
    wait_until_written(world)
    shown = world.cli("groups", "--json", "--over", "0.2")
    rows = [json.loads(line) for line in shown.out.splitlines()]
    assert {row["topic"] for row in rows if row["group"] == "features"} == {
        world.namespace.topic(OHLC),
        world.namespace.topic(CHAIN),
    }
    world.stop("features", "analytics")
    world.wait_until_left("features", "analytics", timeout_s=60)
    ran = run("namespaces", "drop", world.namespace.name, env=world.env)
    assert ran.code == 0, ran.err
    assert "deleting the features" in ran.err
    assert not folder(world).exists()
