"""Every source of a replay gives the same: files, Kafka by time, raw topics, the audit archive."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import TopicPartition

from optionstream.deploy.stack import Addresses
from optionstream.producers.feeds.session_file import header_for, write_session
from optionstream.producers.simulated import SimulatedMarket, SimulationConfig
from optionstream.schemas import topics
from optionstream.schemas.raw import PART_BYTES
from optionstream.schemas.settings import Settings
from optionstream.schemas.topics import GROUP_TOPICS, RAW_BROKERS, RAW_FILES, RAW_NSE
from tests.harness.cli import Ran, run
from tests.harness.feed_files import body, leg, tick_lines, written
from tests.harness.running import Running, running

pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]

DAY = "2026-01-06"
SESSION = "a-session.jsonl.zst"
"""The first of the files, by name and by time."""
CHAINS = 3
REAL_DAY = "20251014"


@dataclass
class World:
    """A namespace with an archive worker, and others made from what it has."""

    origin: Running
    made: list[str] = field(default_factory=list)

    def __call__(self, *args: object) -> Ran:
        return self._run(*args, "--json")

    def drop(self, name: str) -> None:
        """A namespace that was made, if it came to that."""
        told = self._run("namespaces", "drop", name)
        assert told.code == 0 or "there is no namespace" in told.err, told.err

    def _run(self, *args: object) -> Ran:
        ran = run(*args, env=self.origin.env)
        assert "Traceback" not in ran.err, ran.err
        return ran

    @property
    def name(self) -> str:
        return self.origin.namespace.name

    @property
    def archive(self) -> Path:
        return self.origin.folder / "audit" / self.name

    def replay(self, name: str, *args: object) -> dict[str, Any]:
        """A replay that must succeed; its row."""
        self.made.append(name)
        told = self("replay", *args, "--namespace", name)
        assert told.code == 0, told.err
        return told.row

    def archived(self) -> None:
        """Run the archive worker until it has everything."""
        self.origin.start("audit")
        names = GROUP_TOPICS["audit"]
        ends = {place: end for place, end in self.origin.offsets.ends(names).items() if end}

        def done() -> bool:
            committed = self.origin.offsets.committed("audit")
            return all(committed.get(place, 0) >= end for place, end in ends.items())

        self.origin.wait_for(done, "audit to archive everything", 180)
        self.origin.stop("audit")

    def raw_records(self, topic: str) -> int:
        return sum(self.origin.offsets.ends((topic,)).values())

    def same(self, one: str, other: str) -> dict[str, int]:
        """Both must hold the same results; how many values were compared, by place."""
        told = self("verify", one, "--against", other)
        assert told.code == 0, told.out
        compared: dict[str, int] = told.row["compared"]
        return compared


@pytest.fixture
def world(addresses: Addresses, stack_settings: Settings, tmp_path: Path) -> Iterator[World]:
    with running(addresses, stack_settings, tmp_path) as origin:
        origin.env["OPTIONSTREAM_AUDIT_FLUSH_S"] = "1"
        origin.env["OPTIONSTREAM_AUDIT_DIR"] = str(tmp_path / "audit")
        made = World(origin)
        try:
            yield made
        finally:
            for name in made.made:
                made.drop(name)


def session(path: Path, noise: int = 0) -> None:
    """Minutes of the simulated market; ``noise`` makes the file longer by half as many bytes."""
    config = SimulationConfig(seed=5, date=DAY, close_ms=SimulationConfig(5, DAY).open + 300_000)
    header = header_for(config.products, {"noise": random.Random(1).randbytes(noise // 2).hex()})
    write_session(path, header, SimulatedMarket(config).events())


def inputs(folder: Path) -> Path:
    """Ticks and chains: a long session file, bodies of the exchange, a table of ticks."""
    made = folder / "nifty"
    made.mkdir()
    session(made / SESSION, noise=3 * PART_BYTES)
    assert made.joinpath(SESSION).stat().st_size > PART_BYTES
    for at in range(CHAINS):
        legs = {side: leg(lastPrice=100.0 + at) for side in ("CE", "PE")}
        strike = {"strikePrice": 26_000.0, "expiryDate": "13-Jan-2026", **legs}
        told = body([strike], timestamp=f"06-Jan-2026 10:3{at}:07")
        written(made / f"body-{at}.json", told)
    rows = [(f"{DAY} 11:00:{at:02d}", 26_000.0 + at) for at in range(60)]
    written(made / "ticks.csv", tick_lines(rows))
    return made


def replayed_from_everywhere(
    world: World, paths: list[Path], start: str, end: str, **more: Sequence[object]
) -> None:
    """From files into the first namespace, and from there, and as ``more`` says, into others: all
    must be the same."""
    name = world.name
    first = world.replay(name, *paths, "--raw")
    world.archived()
    assert world("verify", name).code == 0
    copies: dict[str, Sequence[object]] = {
        "range": ["--from-topics", name, "--start", start, "--end", end],
        "raw": ["--from-raw", name],
        "archive": [world.archive],
        **more,
    }
    for kind, args in copies.items():
        found = world.replay(f"{name}-{kind}", *args)
        kinds = ("read", "accepted", "outside_session", "duplicates", "held", "rejects")
        assert {one: found[one] for one in kinds} == {one: first[one] for one in kinds}, kind
        compared = world.same(f"{name}-{kind}", name)
        assert compared["kafka analytics.chain"] > 0


def test_every_source_of_a_replay_gives_the_same(world: World, tmp_path: Path) -> None:
    folder = inputs(tmp_path)
    replayed_from_everywhere(
        world,
        [folder],
        DAY,
        "2026-01-07",
        files=[folder],
        archived=["--from-raw", world.archive],
        paced=["--from-raw", world.name, "--speed", "100000"],
    )
    assert world.raw_records(RAW_NSE) == CHAINS
    assert world.raw_records(RAW_FILES) == 1 + len(range(0, size_of(folder), PART_BYTES))
    manifest = json.loads(world("replay", "status", f"{world.name}-raw").out)["manifest"]
    assert manifest["source"]["kind"] == "raw"
    assert manifest["source"]["namespace"] == world.name


def size_of(folder: Path) -> int:
    return (folder / SESSION).stat().st_size


def test_a_real_day_gives_the_same_from_every_source(
    world: World, shared_data: Callable[[str], Path]
) -> None:
    bodies = shared_data("nse-json-intraday-nifty-2025") / "json"
    files = sorted(bodies.glob(f"*_nse{REAL_DAY}T*"))
    assert len(files) > 5
    replayed_from_everywhere(world, files, "2025-10-14", "2025-10-15")
    assert world.raw_records(RAW_NSE) == len(files)


def test_a_file_that_was_published_twice_counts_once(world: World, tmp_path: Path) -> None:
    folder = inputs(tmp_path)
    shutil.rmtree(folder)
    folder.mkdir()
    session(folder / SESSION)
    once = world.replay(world.name, folder, "--raw")
    twice = world.replay(world.name, folder, "--raw")
    assert twice["accepted"] == twice["duplicates"] == once["accepted"]
    again = world.replay(f"{world.name}-again", "--from-raw", world.name)
    assert again["bodies"] == 2
    assert again["accepted"] == again["duplicates"] == once["accepted"]
    assert world("verify", f"{world.name}-again").code == 0
    world.same(f"{world.name}-again", world.name)


def test_a_part_that_retention_deleted_is_named_and_the_rest_is_played(
    world: World, tmp_path: Path
) -> None:
    folder = inputs(tmp_path)
    first = world.replay(world.name, folder, "--raw")
    # Parts of the session come before the ticks in their topic.
    topic = world.origin.namespace.topic(RAW_FILES)
    deleted = world.origin.admin.delete_records([TopicPartition(topic, 0, 1)])
    for future in deleted.values():
        future.result(30)
    name = f"{world.name}-rest"
    world.made.append(name)
    told = world("replay", "--from-raw", world.name, "--namespace", name)
    assert told.code == 2
    (line,) = [line for line in told.err.splitlines() if line.startswith("error: ")]
    assert f"{folder}/{SESSION}: as received, part 1 of " in line
    assert "is missing" in line
    assert told.row["bodies"] == CHAINS + 1
    assert 0 < told.row["accepted"] < first["accepted"]


def test_a_namespace_without_bodies_says_so_in_one_line(world: World, tmp_path: Path) -> None:
    folder = inputs(tmp_path)
    world.replay(world.name, folder)
    for topic in (RAW_NSE, RAW_BROKERS, RAW_FILES):
        assert world.raw_records(topic) == 0
    told = world("replay", "--from-raw", world.name)
    assert told.code == 2
    (line,) = [line for line in told.err.splitlines() if line.startswith("error: ")]
    assert f"raw:{world.name}: no raw payloads" in line
    assert "--raw" in line
    assert world("replay", "--from-raw", "nobodys").code == 2


def test_live_keeps_what_came_in_and_makes_the_same_of_it(world: World, tmp_path: Path) -> None:
    """Receipts included. What no adapter knows is kept too; ``--no-raw`` keeps nothing."""
    product = f"T{uuid4().hex[:8].upper()}"
    folder = tmp_path / "received"
    folder.mkdir()
    written(folder / "body.json", body([strike_of(product)]))
    written(folder / "notes.txt", "what an adapter of tomorrow reads")
    rows = [(f"{DAY} 11:00:{at:02d}", 26_000.0 + at) for at in range(60)]
    written(folder / "ticks.csv", tick_lines(rows))
    told = world("feed", "file", folder, "--product", product)
    assert told.code == 2
    assert (told.row["raw"], told.row["ticks"], told.row["chains"]) == (3, 60, 1)
    other = written(tmp_path / "other.json", body([strike_of(f"{product}X")]))
    told = world("feed", "file", other, "--no-raw")
    assert (told.code, told.row["raw"], told.row["chains"]) == (0, 0, 1)
    topics_of, raw = f"{world.name}-topics", f"{world.name}-raw"
    only = ("--products", product, "--start", DAY, "--end", "2026-01-07")
    copied = world.replay(topics_of, "--from-topics", "live", *only)
    world.made.append(raw)
    made = world("replay", "--from-raw", "live", "--namespace", raw, *only)
    assert made.code == 2
    assert "notes.txt: not a known format" in made.err
    assert made.row["accepted"] == copied["accepted"] == 61
    assert world("verify", raw).code == 0
    world.same(raw, topics_of)


def strike_of(product: str) -> dict[str, Any]:
    legs = {side: leg(underlying=product) for side in ("CE", "PE")}
    return {"strikePrice": 26_000.0, "expiryDate": "13-Jan-2026", **legs}


def test_drop_removes_the_raw_topics(world: World, tmp_path: Path) -> None:
    name = f"{world.name}-gone"
    world.replay(name, inputs(tmp_path), "--raw")
    before = set(world.origin.admin.list_topics(timeout=30).topics)
    assert topics.Namespace(name).topic(RAW_NSE) in before
    world.drop(name)
    world.made.remove(name)
    left = set(world.origin.admin.list_topics(timeout=30).topics)
    assert not [topic for topic in left if topic.startswith(f"replay.{name}.")]
